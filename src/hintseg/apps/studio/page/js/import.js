// Annotations of another tool: chosen or dropped, read by the server, looked at, then taken into the project.

import { $, element, inform, pause } from "./dom.js";
import { dropped } from "./dropped.js";
import { plural } from "./hints.js";
import { openFirst } from "./images.js";
import { follow } from "./image.js";
import { take } from "./project.js";
import { allSaved, markSaved } from "./saving.js";
import { askJson, instead, send } from "./server.js";
import { emit, project, view } from "./state.js";
import { addImages } from "./upload.js";

const NAMES = { tags: "ticked classes", boxes: "boxes", points: "points", scribbles: "strokes or regions", masks: "whole masks" };
let current = null; // { id, report } of the import that the dialog is about

const number = (count, name) => `${count} ${plural(name, count)}`;

function say(text, notes = []) {
  $("import-state").textContent = text;
  $("import-notes").replaceChildren(...notes.map((note) => element("li", { textContent: note })));
}

// What fails is said in the dialog: the page's own line lies behind it.
async function step(work) {
  const signal = instead("import");
  $("import-take").disabled = true;
  $("import-bar").hidden = false;
  $("import-bar").removeAttribute("value");
  try { await work(signal); } catch (error) { if (!signal.aborted) say(error.message); }
  if (!signal.aborted) $("import-bar").hidden = true;
}

async function upload(files, signal) {
  await giveUp();
  $("import-again").hidden = true; // until all files are there
  showReport(null);
  if (!files.length) return say("nothing was chosen");
  const { import: id } = await send("/api/import", "POST", {});
  if (signal.aborted) return giveUp(id);
  current = { id, report: null };
  for (const [done, { name, file }] of files.entries()) {
    say(`sending ${name} (${done + 1} of ${files.length})`);
    $("import-bar").value = done / files.length;
    await askJson(`/api/import/file?into=${id}&name=${encodeURIComponent(name)}`, { method: "POST", body: file, signal });
  }
  await read(signal);
}

async function read(signal) {
  say("reading …");
  $("import-again").hidden = false;
  const state = { reading: true };
  signal.onabort = () => { state.reading = false; };
  followReading(state);
  try {
    const wish = { reader: $("import-format").value, background: $("import-background").value, unlabeled: $("import-unlabeled").value };
    const report = await send(`/api/import/${current.id}/read`, "POST", wish);
    if (!signal.aborted) showReport(report);
  } finally { state.reading = false; }
}

async function followReading(state) {
  while (state.reading) {
    await pause(500);
    const { done, total } = await askJson("/api/importing").catch(() => ({ total: 0 }));
    if (state.reading && total) { say(`reading ${done} of ${total}`); $("import-bar").value = done / total; }
  }
}

function showReport(report) {
  if (current) current.report = report;
  $("import-take").disabled = !report?.images;
  $("import-existing").hidden = !report?.hinted.length;
  if (!report) return;
  const found = Object.keys(NAMES).filter((type) => report.counts[type]).map((type) => `${NAMES[type]} in ${report.counts[type]}`);
  const added = report.added.length ? `, ${report.added.length} of them new: ${report.added.join(", ")}` : ", all known";
  say(`${number(report.images, "image")}, ${report.new || "none"} of them new here; ${found.join(", ") || "no hints"}. ${number(report.classes.length, "class")}${added}.`, [
    ...Object.entries(report.lost).map(([what, count]) => `left out: ${what}, ${count} times`), ...report.notes,
  ]);
  const { length } = report.hinted;
  $("import-existing").querySelector("legend").textContent = `${number(length, "image")} ${length === 1 ? "has" : "have"} hints or an accepted mask here already (${report.hinted.slice(0, 3).join(", ")}${length > 3 ? ", …" : ""}):`;
}

async function takeAll(signal) {
  await allSaved();
  const existing = document.querySelector("[name=existing]:checked").value;
  say("taking …");
  let found;
  try {
    found = await send(`/api/import/${current.id}/take`, "POST", { existing }, current.report.version);
  } catch (error) {
    if (error.status !== 409 || signal.aborted) throw error;
    showReport(error.current);
    $("import-state").prepend("The project was changed elsewhere meanwhile; nothing was taken. Look again: ");
    return;
  }
  if (!signal.aborted) { current = null; $("import-dialog").close(); }
  take(found);
  const kept = found.kept ? ` ${number(found.kept, "image")} with hints ${found.kept === 1 ? "was" : "were"} kept as ${found.kept === 1 ? "it is" : "they are"}.` : "";
  inform(`${found.taken ? `Imported: ${number(found.taken, "image")} with their hints.` : "Nothing was imported."}${kept}${found.not_background ? ` “${found.not_background}” is the background of what was imported, but not of the project: choose it under Background if it should be.` : ""}${found.copy ? ` A copy of the changed files lies in ${found.copy}.` : ""}`);
  if (view.key) await follow(); else if (project.images.length) await openFirst();
  markSaved(); // what follows from an import was not changed elsewhere
  emit("mask");
}

async function giveUp(id = current?.id) {
  if (id === current?.id) current = null;
  if (id) await askJson(`/api/import/${id}`, { method: "DELETE" }).catch(() => {});
}

function openDialog() {
  $("import-again").hidden = true;
  say("");
  showReport(null);
  $("import-dialog").showModal();
}
$("import").onclick = openDialog;
for (const name of ["import-files", "import-folder"]) {
  $(name).onchange = () => {
    const files = [...$(name).files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
    $(name).value = "";
    step((signal) => upload(files, signal));
  };
}
$("import-again").onclick = () => step(read);
$("import-take").onclick = () => step(takeAll);
$("import-close").onclick = () => $("import-dialog").close();
$("import-dialog").onclose = () => { // which may come late: once opened again, the next upload gives the old one up
  if (!$("import-dialog").open) { instead("import"); giveUp(); }
};

// Files may be dropped anywhere on the page; images alone are added as images.
const dialog = $("import-dialog");
const takesFiles = (event) => !$("upload").disabled && event.dataTransfer?.types.includes("Files") && (dialog.open || !document.querySelector("dialog[open]"));
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // else the browser would leave the page for the file
  dialog.classList.toggle("over", takesFiles(event));
});
document.addEventListener("dragleave", () => dialog.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  dialog.classList.remove("over");
  if (!takesFiles(event)) return;
  const files = await dropped(event.dataTransfer);
  if (!dialog.open && files.every(({ file }) => file.type.startsWith("image/"))) return addImages(files.map(({ file }) => file));
  if (!dialog.open) openDialog();
  step((signal) => upload(files, signal));
});

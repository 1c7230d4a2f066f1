// The mask of the open image: asked for after every change, shown with where it comes from, accepted or withdrawn.

import { $, attempt, inform } from "./dom.js";
import { localized } from "./hints.js";
import { follow } from "./image.js";
import { noteTypes, readProject } from "./project.js";
import { allSaved, markSaved } from "./saving.js";
import { address, ask, askJson, instead } from "./server.js";
import { classOf, color, emit, hints, imageOf, on, project, view } from "./state.js";

// Which mask there is to ask for: "accepted", "model", or none yet.
function source() {
  if (view.accepted) return "accepted";
  const here = view.raster || localized(hints.drawn);
  const anywhere = here || project.images.some((entry) => entry.hint_types.some((type) => type !== "tags"));
  return project.run || (project.model === "hints" ? here : anywhere) ? "model" : null;
}

export function origin(from, model = project.model) {
  const models = { instant: "learned from all hints", hints: "from this image's hints alone" };
  if (from === "accepted") return "accepted mask";
  const names = (project.unlearned ?? []).map((id) => classOf(id)?.name).filter(Boolean);
  const later = names.length ? `, which does not know ${names.map((name) => `“${name}”`).join(", ")}: train again` : "";
  return models[model] ?? `mask of ${model}${later}`;
}

function without(text, failed = "", tag = null) {
  Object.assign(view, { mask: null, shown: null, tag, failed });
  $("source").textContent = text;
  emit("view");
}

// The mask without the classes that are hidden, which the color of a pixel tells.
function hideClasses() {
  view.shown = null;
  const colors = new Set([...view.hidden].map(color));
  if (!view.mask || !colors.size) return;
  const copy = new OffscreenCanvas(view.mask.width, view.mask.height), pen = copy.getContext("2d");
  pen.drawImage(view.mask, 0, 0);
  const pixels = pen.getImageData(0, 0, copy.width, copy.height), { data } = pixels;
  const numbers = new Set([...colors].map((text) => parseInt(text.slice(1), 16)));
  for (let at = 0; at < data.length; at += 4) if (numbers.has((data[at] << 16) | (data[at + 1] << 8) | data[at + 2])) data[at + 3] = 0;
  pen.putImageData(pixels, 0, 0);
  view.shown = copy;
}
on("shown", () => { hideClasses(); emit("view"); });

const noMask = () => (project.classes.length ? "no mask yet: draw a stroke of every class" : "no mask yet: name your classes, then draw");

let finding = false;
export const isFinding = () => finding;

async function showMask() {
  finding = false;
  view.failed = "";
  const key = view.key, signal = instead("mask");
  $("accept").textContent = view.accepted ? "Withdraw mask" : "Accept mask";
  $("accept").title = view.accepted ? "take the accepted mask away again; a copy stays in studio/kept (A)" : "take this mask as it is (A)";
  $("edit").hidden = !view.accepted;
  if (!key || !$("show").checked) return without("");
  const from = source();
  if (!from) return without(noMask());
  if (!view.mask || !view.tag) $("source").textContent = "finding the mask …";
  finding = true;
  try {
    const answer = await ask(`${address("mask", key)}?source=${from}`, { signal });
    const mask = await createImageBitmap(await answer.blob());
    if (signal.aborted || key !== view.key) return;
    Object.assign(view, { mask, tag: answer.headers.get("ETag"), failed: "" });
    hideClasses();
    $("source").textContent = origin(from);
  } catch (error) {
    if (signal.aborted) return;
    $("edit").hidden = true;
    return without(error.message, error.message, error.tag); // an accepted mask that cannot be shown can be withdrawn
  } finally {
    if (!signal.aborted) finding = false;
  }
  emit("view");
}
on("mask", showMask);
on("classes", () => { if (view.key && !view.mask && !source()) showMask(); });
$("show").onchange = showMask;

// Accepts, withdraws or edits the mask that is shown; the one that others changed since is shown first.
async function decide(path, method) {
  const { key, tag } = view;
  if (!key) return;
  if (!source()) throw new Error(noMask());
  if (view.failed && !tag) throw new Error(`there is no mask to accept: ${view.failed}`);
  if (!tag) throw new Error($("show").checked ? "the mask is still being found; decide when you see it" : "show the mask first, then decide");
  let answer;
  try {
    answer = await askJson(address(path, key), { method, headers: { "If-Match": tag } });
  } catch (error) {
    if (error.status !== 409) throw error;
    await follow();
    throw new Error("this mask has changed since it was shown; the new one is shown now: look at it, then decide again");
  }
  if (key === view.key) Object.assign(view, { accepted: answer.accepted, tag: null }); // another mask is to be shown
  const types = imageOf(key)?.hint_types.filter((type) => type !== "masks") ?? [];
  noteTypes(key, answer.accepted ? [...types, "masks"] : types);
  return answer;
}

on("opened", () => { if (![undefined, "", view.key].includes($("info").dataset.key)) inform(""); });
$("accept").onclick = attempt(async () => {
  await decide("accept", view.accepted ? "DELETE" : "POST");
  inform("");
  showMask();
});
$("edit").onclick = attempt(async () => {
  await allSaved();
  const { key } = view, ignored = (await decide("edit", "POST"))?.ignored;
  await readProject();
  await follow();
  markSaved();
  inform("The mask is regions now: rub out, erase and draw over them, then accept the mask again. A copy of it stays in studio/kept."
    + (ignored ? ` Regions cannot say that pixels are ignored: ${ignored} ignored pixels are unlabeled now, and may get a class in training.` : ""), key);
});

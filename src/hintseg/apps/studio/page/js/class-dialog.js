// One class: its name, color and place, and its end, which says first what goes with it.

import { $, attempt, mark } from "./dom.js";
import { plural } from "./hints.js";
import { follow } from "./image.js";
import { readProject, take } from "./project.js";
import { allSaved } from "./saving.js";
import { askJson } from "./server.js";
import { classOf, emit, project, view } from "./state.js";
import { saveClasses } from "./table.js";

let open = null; // identifier of the class that the dialog is about

export function editClass(id) {
  const { name, color } = classOf(id);
  open = id;
  $("class-title").textContent = `Class “${name}”`;
  $("class-name").value = name;
  $("class-color").value = color;
  $("class-uses").textContent = "";
  $("class-delete").disabled = true; // until it was said what goes with this class
  $("class-dialog").showModal();
}

$("class-form").onsubmit = attempt(async (event) => {
  event.preventDefault();
  const entry = classOf(open), [name, color] = [$("class-name").value.trim(), $("class-color").value];
  if (project.classes.some((other) => other.id !== open && other.name === name)) {
    $("class-uses").textContent = `“${name}” is another class already; choose another name.`;
    return $("class-name").focus();
  }
  if (!entry || !name) return $("class-dialog").close();
  const change = { id: open, before: entry.name, ...(name !== entry.name && { name }), ...(color !== entry.color && { color }) };
  try {
    if (change.name || change.color) await saveClasses({ change });
  } catch (error) {
    $("class-uses").textContent = error.message; // the page's own line lies behind the dialog
    return;
  }
  if (open === change.id) $("class-dialog").close();
  if (change.name && view.key) await follow(); // hints may name the class
});
// The button that opened it may be another one by now.
$("class-dialog").onclose = () => ([...document.querySelectorAll("#classes .more")].find((button) => button.dataset.id === open) ?? $("name")).focus();
$("class-cancel").onclick = () => $("class-dialog").close();
$("class-up").onclick = attempt(() => saveClasses({ move: { id: open, by: -1 } }));
$("class-down").onclick = attempt(() => saveClasses({ move: { id: open, by: 1 } }));

const number = (count, name) => `${count} ${plural(name, count)}`;

$("class-ask").onclick = attempt(async () => {
  const id = open;
  let uses;
  try {
    await allSaved();
    uses = await askJson(`/api/classes/${id}`);
  } catch (error) {
    $("class-uses").textContent = error.message;
    return;
  }
  if (open !== id || !$("class-dialog").open) return;
  const { hints, images, masks, damaged } = uses;
  const parts = [hints && `${number(hints, "hint")} on ${number(images, "image")}`, masks && `its pixels in ${number(masks, "mask")}, which then have no class`].filter(Boolean);
  $("class-uses").textContent = parts.length
    ? `This also deletes ${parts.join(" and ")}. It cannot be undone here; a copy of the files stays in studio/kept/classes.`
    : "No hint and no mask uses this class.";
  if (damaged.length) $("class-uses").textContent += ` It moves ${damaged.slice(0, 3).join(", ")}${damaged.length > 3 ? ` and ${damaged.length - 3} more` : ""}, which cannot be read, to studio/kept/classes.`;
  $("class-delete").disabled = false;
});

$("class-delete").onclick = attempt(async () => {
  $("class-dialog").close();
  try {
    take(await askJson(`/api/classes/${open}`, { method: "DELETE", headers: { "If-Match": project.version } }));
  } catch (error) {
    if (error.status !== 409) throw error;
    await readProject();
    throw new Error("the classes were changed elsewhere meanwhile, so that nothing was deleted; look at them, then delete again");
  }
  if (view.key) await follow();
  mark("class deleted");
  emit("mask");
});

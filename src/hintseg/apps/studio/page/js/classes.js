// The list of classes on the right: which one is drawn, which are shown, which are somewhere in the image.

import { editClass } from "./class-dialog.js";
import { $, attempt, element, inform, outdate } from "./dom.js";
import { edit } from "./editing.js";
import { classOf, emit, hand, hints, listed, on, project, view } from "./state.js";
import { isSavingClasses, saveClasses } from "./table.js";

function tick({ id, name }, used) {
  const box = element("input", {
    type: "checkbox", checked: hints.drawn.tags.includes(id) || used.has(id), disabled: used.has(id) || !view.key,
    title: `${name} is somewhere in this image`,
  });
  box.setAttribute("aria-label", box.title);
  box.onchange = () => edit((state) => {
    state.tags = box.checked ? [...state.tags, id] : state.tags.filter((tag) => tag !== id);
  });
  return box;
}

function pick({ id, name, color }, index) {
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = color;
  const button = element("button", {
    className: "pick", title: `${name}${index < 9 ? ` (key ${index + 1})` : ""}`,
    onclick: () => choose(id), ondblclick: () => editClass(id),
  }, swatch, element("b", { textContent: name }));
  button.setAttribute("aria-pressed", id === hand.label);
  return button;
}

function eye({ id, name }) {
  const shown = !view.hidden.has(id);
  const button = element("button", { title: shown ? `hide ${name}` : `show ${name}`, className: shown ? "small eye" : "small eye closed" });
  button.setAttribute("aria-label", button.title);
  button.onclick = () => {
    if (shown) view.hidden.add(id); else view.hidden.delete(id);
    listClasses();
    emit("shown");
  };
  return button;
}

function more({ id, name }) {
  const button = element("button", { className: "small more", title: `rename, color, move or delete ${name}`, onclick: () => editClass(id) });
  button.setAttribute("aria-label", button.title);
  button.dataset.id = id;
  return button;
}

export function choose(id) {
  hand.label = id;
  if (view.hidden.delete(id)) emit("shown");
  listClasses();
  emit("hand");
}

let chosen = null; // the class that was chosen last

// The first one, to begin with; where the chosen class was deleted no other takes its place unseen.
function keepChosen() {
  if (!chosen) hand.label ??= listed()[0]?.id ?? null;
  const entry = classOf(hand.label);
  if (entry) {
    chosen = entry;
    outdate("chosen");
  } else if (chosen && hand.label) {
    hand.label = null;
    inform(`The class “${chosen.name}”, which you had chosen, was deleted. Choose a class under “Classes” to go on drawing.`, "", "chosen");
    emit("hand");
  }
}

// Keyboard focus stays where it was: the rows are new.
function listClasses() {
  keepChosen();
  const focused = [...$("classes").querySelectorAll("button, input")].indexOf(document.activeElement);
  const { strokes, points, boxes, regions } = hints.drawn;
  const used = new Set([...strokes, ...points, ...boxes, ...(regions ?? [])].map((hint) => hint.label));
  $("classes").replaceChildren(...listed().map((entry, index) => element("li", {}, tick(entry, used), pick(entry, index), eye(entry), more(entry))));
  if (focused >= 0) ($("classes").querySelectorAll("button, input")[focused] ?? $("name")).focus();
  // What was chosen since stays: the answer to an earlier change does not take it back.
  const background = isSavingClasses() ? $("background").value : project.background ?? "";
  $("background").replaceChildren(new Option("none", ""), ...listed().map((entry) => new Option(entry.name, entry.id)));
  $("background").value = background;
  if (!isSavingClasses()) $("complete").checked = project.complete;
}
on("classes", listClasses);
on("hints", listClasses);

$("add").onsubmit = attempt(async (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return;
  $("name").value = "";
  try { await saveClasses({ add: name }); } catch (error) { $("name").value = name; throw error; }
});
$("background").onchange = attempt(() => saveClasses({ background: $("background").value || null }));
$("complete").onchange = attempt(() => saveClasses({ complete: $("complete").checked }));

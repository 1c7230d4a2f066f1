// The list of classes on the right.

import { $, attempt, element } from "./dom.js";
import { edit } from "./editing.js";
import { classOf, hand, hints, on, project, view } from "./state.js";
import { saveClasses } from "./table.js";

function tick(entry, used) {
  const { id } = entry;
  const box = element("input", {
    type: "checkbox", checked: hints.drawn.tags.includes(id) || used.has(id), disabled: used.has(id) || !view.key,
    title: `${entry.name} is somewhere in this image`,
  });
  box.setAttribute("aria-label", box.title);
  box.onchange = () => edit((state) => {
    state.tags = box.checked ? [...state.tags, id] : state.tags.filter((tag) => tag !== id);
  });
  return box;
}

function pick(entry, index) {
  const { id } = entry;
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = entry.colour;
  const button = element("button", {
    className: "pick", title: index < 9 ? `key ${index + 1}; double-click renames` : "double-click renames",
    onclick: () => choose(id), ondblclick: attempt(() => rename(entry)),
  }, swatch, element("b", { textContent: entry.name }));
  button.setAttribute("aria-pressed", id === hand.label);
  return button;
}

async function rename({ id, name }) {
  const chosen = prompt("Name of this class", name);
  if (chosen && chosen !== name) await saveClasses({ rename: { id, name: chosen, before: name } });
}

export function choose(id) {
  hand.label = id;
  listClasses();
}

function listClasses() {
  if (!classOf(hand.label)) hand.label = project.classes[0]?.id ?? null;
  const { strokes, points, boxes } = hints.drawn;
  const used = new Set([...strokes, ...points, ...boxes].map((hint) => hint.label));
  $("classes").replaceChildren(...project.classes.map((entry, index) => element("li", {}, tick(entry, used), pick(entry, index))));
  $("background").replaceChildren(new Option("none", ""), ...project.classes.map((entry) => new Option(entry.name, entry.id)));
  $("background").value = project.background ?? "";
  $("complete").checked = project.complete;
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

// The hints of the open image as a list: found by hovering, deleted one by one.

import { $, element } from "./dom.js";
import { edit } from "./editing.js";
import { classOf, color, emit, hints, on, view } from "./state.js";

const NAMES = { strokes: "stroke", points: "point", boxes: "box", regions: "region" };
const MOST = 300; // rows; more are counted

function row(type, index, hint) {
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = color(hint.label);
  const name = `${NAMES[type]}, ${classOf(hint.label)?.name ?? "?"}`;
  const remove = element("button", { className: "small", textContent: "×", title: `delete this ${name}` });
  remove.setAttribute("aria-label", remove.title);
  remove.onclick = () => { view.highlight = null; edit((state) => state[type].splice(index, 1)); };
  const made = element("li", {}, swatch, element("span", { textContent: name }), remove);
  const show = (shown) => () => { view.highlight = shown ? hint : null; emit("view"); };
  made.onpointerenter = remove.onfocus = show(true);
  made.onpointerleave = remove.onblur = show(false);
  return made;
}

function listHints() {
  const focused = [...$("hint-list").querySelectorAll("button")].indexOf(document.activeElement);
  const rows = Object.keys(NAMES).flatMap((type) => (hints.drawn[type] ?? []).map((hint, index) => [type, index, hint]));
  $("hint-count").textContent = `Hints of this image (${rows.length})`;
  $("hint-list").replaceChildren(...rows.slice(0, MOST).map((one) => row(...one)));
  if (hints.drawn.regions === null) $("hint-list").append(element("li", { textContent: "and a scribble map, too fine to be edited here" }));
  if (rows.length > MOST) $("hint-list").append(element("li", { textContent: `and ${rows.length - MOST} more` }));
  if (focused >= 0) ([...$("hint-list").querySelectorAll("button")].slice(0, focused + 1).at(-1) ?? $("hint-count")).focus();
}
on("hints", listHints);
on("classes", listHints);

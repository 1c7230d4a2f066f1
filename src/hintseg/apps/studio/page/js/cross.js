// Drawing without a mouse: arrow keys move a cross over the image, the space bar puts the pen down and lifts it.

import { canvas, draw } from "./canvas.js";
import { $ } from "./dom.js";
import { begin, drawOn, end, inside, isDrawing } from "./drawing.js";
import { classOf, hand, on, view } from "./state.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 10; // pixels of the screen
const MARGIN = 40; // of the screen, within which the image follows the cross
let tabbed = false; // whether the keyboard moved the focus last

const isOn = () => view.cross !== null && document.activeElement === canvas;

export function showCross() {
  if (!view.key) return;
  view.cross ??= inside([view.width / 2, view.height / 2].map(Math.floor));
  canvas.focus();
  moved();
}

export function hideCross() {
  view.cross = view.cursor = null;
  moved();
}

// What a key means to the cross; false where it means nothing.
export function crossKey({ key, shiftKey, repeat }) {
  if (!isOn()) return false;
  if (key in ARROWS) move(ARROWS[key], shiftKey ? 1 : Math.max(STEP / view.scale, 1));
  else if (key === " " || (key === "Enter" && hand.current?.kind !== "polygon")) { if (!repeat) press(); }
  else return false;
  return true;
}

function move([dx, dy], step) {
  const [x, y] = view.cross;
  view.cross = inside([x + dx * step, y + dy * step].map(Math.round));
  if (isDrawing()) drawOn(view.cross);
  moved();
}

function press() {
  if (isDrawing()) end(); else begin(view.cross);
  moved();
}

const shift = (place, length) => Math.max(MARGIN - place, 0) + Math.min(length - MARGIN - place, 0);

function moved() {
  if (isOn()) {
    view.x += shift(view.x + view.cross[0] * view.scale, canvas.clientWidth);
    view.y += shift(view.y + view.cross[1] * view.scale, canvas.clientHeight);
    view.cursor = view.cross;
  }
  draw();
  $("cross").hidden = !isOn();
  if (!isOn()) return;
  const { kind } = hand.current ?? {}, name = classOf(hand.label)?.name ?? "no class";
  const doing = { polygon: "space: next corner, Enter: close", rub: "rubbing out, space: end", move: "moving, space: drop" };
  const next = kind ? doing[kind] ?? `drawing ${name}, space: end` : `${hand.tool} ${name}, space: begin`;
  $("cross").textContent = `x ${view.cross[0]}, y ${view.cross[1]} · ${next}`;
}

document.addEventListener("keydown", (event) => { tabbed = event.key === "Tab"; }, true);
document.addEventListener("pointerdown", () => { tabbed = false; }, true);
canvas.addEventListener("focus", () => { if (tabbed) showCross(); else moved(); });
canvas.addEventListener("blur", () => { if (view.cross) end(); moved(); });
on("hand", moved);
on("opened", () => { if (view.cross) { view.cross = null; if (document.activeElement === canvas) showCross(); } });

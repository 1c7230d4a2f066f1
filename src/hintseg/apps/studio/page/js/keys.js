// The keyboard.

import { draw, fit, zoom } from "./canvas.js";
import { choose } from "./classes.js";
import { $ } from "./dom.js";
import { move, nextUncertain } from "./images.js";
import { space } from "./pointer.js";
import { closePolygon } from "./polygon.js";
import { hand, listed } from "./state.js";
import { brush, chooseTool } from "./tools.js";
import { redo, undo } from "./undo.js";

const ACTIONS = {
  s: () => chooseTool("scribble"), p: () => chooseTool("point"), b: () => chooseTool("box"), e: () => chooseTool("erase"), r: () => chooseTool("rub"), v: () => chooseTool("move"), o: () => chooseTool("polygon"), enter: closePolygon, l: () => chooseTool("look"),
  "[": () => brush(-2), "]": () => brush(2), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: fit,
  arrowleft: () => move(-1), arrowright: () => move(1), m: () => $("show").click(), h: () => $("hints").click(), a: () => $("accept").click(), n: nextUncertain, u: () => $("heat").click(),
  "?": () => $("keys").showModal(), escape: () => { hand.current = null; draw(); }, " ": () => { space.held = true; },
};

const isWriting = ({ tagName, type }) => ["INPUT", "SELECT", "TEXTAREA"].includes(tagName) && !["checkbox", "range"].includes(type);

document.addEventListener("keydown", (event) => {
  if (isWriting(event.target) || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") { event.preventDefault(); return event.shiftKey ? redo() : undo(); }
    if (key === "y") { event.preventDefault(); redo(); }
    return;
  }
  if (/^[1-9]$/.test(key) && +key <= listed().length) return choose(listed()[+key - 1].id);
  if (!(key in ACTIONS)) return;
  if (event.target.tagName === "BUTTON" && [" ", "enter"].includes(key)) return; // presses the button
  event.preventDefault();
  ACTIONS[key]();
});
document.addEventListener("keyup", (event) => { if (event.key === " ") space.held = false; });
$("help").onclick = () => $("keys").showModal();

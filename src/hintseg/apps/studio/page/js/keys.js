// The keyboard.

import { canvas, draw, fit, zoom } from "./canvas.js";
import { choose } from "./classes.js";
import { crossKey, hideCross, showCross } from "./cross.js";
import { $ } from "./dom.js";
import { move } from "./images.js";
import { space } from "./pointer.js";
import { closePolygon } from "./polygon.js";
import { hand, listed } from "./state.js";
import { brush, chooseTool } from "./tools.js";
import { nextUncertain } from "./uncertainty.js";
import { redo, undo } from "./undo.js";

const ACTIONS = {
  s: () => chooseTool("scribble"), p: () => chooseTool("point"), b: () => chooseTool("box"), e: () => chooseTool("erase"), r: () => chooseTool("rub"), v: () => chooseTool("move"), o: () => chooseTool("polygon"), enter: closePolygon, f: () => chooseTool("fill"), l: () => chooseTool("look"),
  "[": () => brush(-2), "]": () => brush(2), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: fit,
  arrowleft: () => move(-1), arrowright: () => move(1), pageup: () => move(-1), pagedown: () => move(1), m: () => $("show").click(), h: () => $("hints").click(), a: () => $("accept").click(), n: nextUncertain, u: () => $("heat").click(),
  "?": () => $("keys").showModal(), k: showCross, escape: () => { if (hand.current) hand.current = null; else hideCross(); draw(); }, " ": () => { space.held = true; },
};

const isWriting = ({ tagName, type }) => ["INPUT", "SELECT", "TEXTAREA"].includes(tagName) && !["checkbox", "range"].includes(type);
// What a control does with a key by itself: space and Enter press it, arrows move a slider.
const isItsOwn = ({ tagName, type }, key) => (["BUTTON", "INPUT", "SUMMARY"].includes(tagName) && [" ", "enter"].includes(key))
  || (type === "range" && /^(arrow|page)/.test(key));

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (document.querySelector("dialog[open]")) return;
  if (key === "escape" && ["INPUT", "SELECT"].includes(event.target.tagName)) return canvas.focus();
  if (isWriting(event.target)) return;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") { event.preventDefault(); return event.shiftKey ? redo() : undo(); }
    if (key === "y") { event.preventDefault(); redo(); }
    return;
  }
  if (crossKey(event)) return event.preventDefault();
  if (/^[1-9]$/.test(key) && +key <= listed().length) return choose(listed()[+key - 1].id);
  if (!(key in ACTIONS) || isItsOwn(event.target, key)) return;
  event.preventDefault();
  ACTIONS[key]();
});
document.addEventListener("keyup", (event) => { if (event.key === " ") space.held = false; });
$("help").onclick = () => $("keys").showModal();

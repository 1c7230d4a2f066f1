// What a hand does at a place of the image, by pointer or by keys: it begins, draws on and ends.

import { draw } from "./canvas.js";
import { attempt, complain } from "./dom.js";
import { edit } from "./editing.js";
import { erase } from "./erase.js";
import { fill } from "./fill.js";
import { look } from "./look.js";
import { dragged, grab } from "./moving.js";
import { addCorner } from "./polygon.js";
import { rubbed, takesAway } from "./rub.js";
import { brushWidth, classOf, hand, hints, project, view } from "./state.js";
import { isAddingClass } from "./table.js";

export const inside = ([x, y]) => [Math.min(Math.max(x, 0), view.width - 1), Math.min(Math.max(y, 0), view.height - 1)];
const within = ([x, y]) => x >= 0 && y >= 0 && x < view.width && y < view.height;
const grid = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];

export function begin(at) {
  const { tool, label } = hand;
  if (tool === "erase") return erase(at);
  if (tool === "move") { hand.current = grab(at); return draw(); }
  if (tool === "rub") { hand.current = { kind: "rub", line: [at], radius: brushWidth() / 2 }; return draw(); }
  if (tool === "look") { if (within(at)) attempt(look)(at); return; }
  if (isAddingClass()) return complain("the new class is still being saved; draw again in a moment"); // else another class would get it
  if (!project.classes.length) return complain("name a class first, under “Classes”");
  if (!classOf(label)) return complain("choose a class first, under “Classes”");
  if (!within(at) && tool !== "box") return;
  const [x, y] = grid(inside(at));
  if (tool === "point") edit((state) => state.points.push({ label, x: Math.floor(x), y: Math.floor(y) }));
  if (tool === "scribble") hand.current = { kind: "scribble", hint: { label, vertices: [[x, y]], width: brushWidth() } };
  if (tool === "fill") fill([x, y]);
  if (tool === "polygon") addCorner([x, y]);
  if (tool === "box") hand.current = { kind: "box", from: inside(at), hint: { label, x0: x, y0: y, x1: x, y1: y } };
  draw();
}

// Whether what was begun follows the hand; a polygon waits for its next corner.
export const isDrawing = () => hand.current !== null && hand.current.kind !== "polygon";

export function drawOn(at) {
  const { kind, from, hint } = hand.current, [x, y] = grid(inside(at));
  if (kind === "move") hand.current.hint = dragged(hand.current, [x, y]);
  else if (kind === "rub") hand.current.line.push([x, y]);
  else if (kind === "scribble") {
    const last = hint.vertices.at(-1);
    if (Math.hypot(last[0] - x, last[1] - y) >= Math.max(1, 2 / view.scale)) hint.vertices.push([x, y]);
  } else {
    const [fx, fy] = from;
    Object.assign(hint, {
      x0: Math.floor(Math.min(fx, x)), y0: Math.floor(Math.min(fy, y)),
      x1: Math.min(Math.ceil(Math.max(fx, x)) + 1, view.width), y1: Math.min(Math.ceil(Math.max(fy, y)) + 1, view.height),
    });
  }
  draw();
}

export function end() {
  if (!isDrawing()) return;
  const done = hand.current;
  hand.current = null;
  if (done.kind === "move") return done.hint === done.original ? draw() : edit((state) => { state[done.type][done.index] = done.hint; });
  if (done.kind === "rub") return takesAway(done.line, done.radius) ? edit(() => { hints.drawn = rubbed(hints.drawn, done.line, done.radius); }) : draw();
  if (done.kind === "scribble") edit((state) => state.strokes.push(done.hint));
  else if (done.hint.x1 - done.hint.x0 > 3 && done.hint.y1 - done.hint.y0 > 3) edit((state) => state.boxes.push(done.hint));
  else draw();
}

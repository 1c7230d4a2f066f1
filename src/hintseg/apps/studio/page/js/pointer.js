// Mouse, pen and fingers on the canvas: one draws, two move and zoom.

import { canvas, draw, zoom } from "./canvas.js";
import { attempt, complain } from "./dom.js";
import { edit } from "./editing.js";
import { erase } from "./erase.js";
import { look } from "./look.js";
import { dragged, grab } from "./moving.js";
import { addCorner, closePolygon } from "./polygon.js";
import { rubbed, takesAway } from "./rub.js";
import { brushWidth, hand, hints, project, view } from "./state.js";

const fingers = new Map();
let panning = null;
let corners = 0; // of a polygon before the first finger came
export const space = { held: false };

const inside = ([x, y]) => [Math.min(Math.max(x, 0), view.width - 1), Math.min(Math.max(y, 0), view.height - 1)];
const within = ([x, y]) => x >= 0 && y >= 0 && x < view.width && y < view.height;
const grid = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
function pixel(event) {
  const area = canvas.getBoundingClientRect();
  return [(event.clientX - area.left - view.x) / view.scale, (event.clientY - area.top - view.y) / view.scale];
}

canvas.addEventListener("pointerdown", (event) => {
  if (!view.key) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  if (fingers.size > 1) { giveUp(); return draw(); }
  corners = hand.current?.corners?.length ?? 0;
  if (space.held || event.button === 1) { panning = { x: event.clientX - view.x, y: event.clientY - view.y }; return; }
  if (event.button === 0) begin(pixel(event));
});

// What one finger began when it was to be two; a polygon stays without the corner of that finger.
function giveUp() {
  panning = null;
  if (hand.current?.kind === "polygon" && corners) hand.current.corners.length = Math.min(hand.current.corners.length, corners);
  else hand.current = null;
}

function begin(at) {
  const { tool, label } = hand;
  if (tool === "erase") return erase(at);
  if (tool === "move") { hand.current = grab(at); return draw(); }
  if (tool === "rub") { hand.current = { kind: "rub", line: [at], radius: brushWidth() / 2 }; return draw(); }
  if (tool === "look") { if (within(at)) attempt(look)(at); return; }
  if (!project.classes.length) return complain("name a class first, on the right");
  if (!within(at) && tool !== "box") return;
  const [x, y] = grid(inside(at));
  if (tool === "point") edit((state) => state.points.push({ label, x: Math.floor(x), y: Math.floor(y) }));
  if (tool === "scribble") hand.current = { kind: "scribble", hint: { label, vertices: [[x, y]], width: brushWidth() } };
  if (tool === "polygon") addCorner([x, y]);
  if (tool === "box") hand.current = { kind: "box", from: inside(at), hint: { label, x0: x, y0: y, x1: x, y1: y } };
  draw();
}

canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (before) fingers.set(event.pointerId, event);
  if (fingers.size === 2 && before) return pinch(before, event);
  view.cursor = pixel(event);
  if (panning) { view.x = event.clientX - panning.x; view.y = event.clientY - panning.y; return draw(); }
  if (hand.current && hand.current.kind !== "polygon") extend(grid(inside(pixel(event))));
  else draw();
});

function pinch(before, event) {
  const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
  const area = canvas.getBoundingClientRect();
  const middle = [(event.clientX + other.clientX) / 2 - area.left, (event.clientY + other.clientY) / 2 - area.top];
  const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
  view.x += (event.clientX - before.clientX) / 2;
  view.y += (event.clientY - before.clientY) / 2;
  zoom(apart(event) / apart(before), ...middle);
}

function extend([x, y]) {
  const { kind, from, hint } = hand.current;
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

canvas.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  panning = null;
  const done = hand.current;
  if (!done || done.kind === "polygon") return;
  hand.current = null;
  if (done.kind === "move") return done.hint === done.original ? draw() : edit((state) => { state[done.type][done.index] = done.hint; });
  if (done.kind === "rub") return takesAway(done.line, done.radius) ? edit(() => { hints.drawn = rubbed(hints.drawn, done.line, done.radius); }) : draw();
  if (done.kind === "scribble") edit((state) => state.strokes.push(done.hint));
  else if (done.hint.x1 - done.hint.x0 > 3 && done.hint.y1 - done.hint.y0 > 3) edit((state) => state.boxes.push(done.hint));
  else draw();
});
canvas.addEventListener("dblclick", closePolygon);
canvas.addEventListener("pointerleave", () => { view.cursor = null; draw(); });
canvas.addEventListener("pointercancel", (event) => { fingers.delete(event.pointerId); giveUp(); draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const area = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - area.left, event.clientY - area.top);
}, { passive: false });

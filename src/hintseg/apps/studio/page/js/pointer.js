// Mouse, pen and fingers on the canvas: one draws, two move and zoom.

import { canvas, draw, zoom } from "./canvas.js";
import { press } from "./dom.js";
import { begin, drawOn, end, isDrawing } from "./drawing.js";
import { closePolygon } from "./polygon.js";
import { hand, view } from "./state.js";

const fingers = new Map();
let panning = null;
let corners = 0; // of a polygon before the first finger came
export const space = { held: false };

function pixel(event) {
  const area = canvas.getBoundingClientRect();
  return [(event.clientX - area.left - view.x) / view.scale, (event.clientY - area.top - view.y) / view.scale];
}

canvas.addEventListener("pointerdown", (event) => {
  if (!view.key) return;
  view.cross = null;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  if (fingers.size > 1) { giveUp(); return draw(); }
  corners = hand.current?.corners?.length ?? 0;
  if (space.held || event.button === 1) { panning = { x: event.clientX - view.x, y: event.clientY - view.y }; return; }
  if (event.button === 0) { press(true); begin(pixel(event)); }
});

// What one finger began when it was to be two; a polygon stays without the corner of that finger.
function giveUp() {
  panning = null;
  if (hand.current?.kind === "polygon" && corners) hand.current.corners.length = Math.min(hand.current.corners.length, corners);
  else hand.current = null;
}

canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (before) fingers.set(event.pointerId, event);
  if (fingers.size === 2 && before) return pinch(before, event);
  if (view.cross) return; // keys draw
  view.cursor = pixel(event);
  if (panning) { view.x = event.clientX - panning.x; view.y = event.clientY - panning.y; return draw(); }
  if (isDrawing()) drawOn(pixel(event)); else draw();
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

canvas.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  panning = null;
  end();
  press(fingers.size > 0);
});
canvas.addEventListener("dblclick", closePolygon);
canvas.addEventListener("pointerleave", () => { view.cursor = null; draw(); });
canvas.addEventListener("pointercancel", (event) => { fingers.delete(event.pointerId); giveUp(); press(fingers.size > 0); draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const area = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - area.left, event.clientY - area.top);
}, { passive: false });

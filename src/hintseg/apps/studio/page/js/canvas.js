// The canvas: what is shown of the image, its mask and its hints. Every coordinate is a pixel of the image.

import { $ } from "./dom.js";
import { paintCross, paintCursor, paintHighlight, paintHints, paintOutline, paintRing } from "./marks.js";
import { rubbed } from "./rub.js";
import { hand, hints, isShown, on, project, view } from "./state.js";

export const canvas = $("canvas");
const pen = canvas.getContext("2d");

let fitted = {}; // the view as it was fitted last

export function fit() {
  const { clientWidth: w, clientHeight: h } = canvas;
  view.scale = Math.min(w / view.width, h / view.height) * 0.97;
  view.x = (w - view.width * view.scale) / 2;
  view.y = (h - view.height * view.scale) / 2;
  fitted = { scale: view.scale, x: view.x, y: view.y };
  draw();
}

export function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 40);
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  draw();
}

export function draw() {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  if (!view.photo) return;
  pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  pen.imageSmoothingEnabled = view.scale < 3;
  pen.drawImage(view.displayed ?? view.photo, 0, 0, view.width, view.height);
  if (view.mask && $("show").checked) {
    pen.globalAlpha = $("opacity").value / 100;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(view.shown ?? view.mask, 0, 0, view.width, view.height);
    pen.globalAlpha = 1;
  }
  if (view.heat && $("heat").checked) pen.drawImage(view.heat, 0, 0, view.width, view.height);
  if ($("hints").checked) paintHints(visible(hand.current ? withCurrent() : hints.drawn));
  if (view.highlight) paintHighlight(view.highlight);
  if (view.outline) paintOutline();
  if (view.cursor && ["scribble", "rub"].includes(hand.tool)) paintCursor(view.cursor);
  if (view.cross && document.activeElement === canvas) paintCross(view.cross);
  const place = project.uncertain[view.key];
  if (place && ($("uncertain").checked || $("heat").checked)) paintRing(place);
}

function withCurrent() {
  const { kind, hint, type, index, corners, label, line, radius } = hand.current;
  if (kind === "move") return { ...hints.drawn, [type]: hints.drawn[type].with(index, hint) };
  if (kind === "rub") return rubbed(hints.drawn, line, radius);
  const added = kind === "polygon" ? { label, width: 2 / view.scale, vertices: corners } : hint;
  const into = kind === "box" ? "boxes" : "strokes";
  return { ...hints.drawn, [into]: [...hints.drawn[into], added] };
}

const visible = (state) => Object.fromEntries(Object.entries(state).map(([type, found]) => [type, (found ?? []).filter(isShown)]));

on("view", draw);
on("hints", draw);
on("classes", draw);
on("hand", draw);
on("opened", fit);
const isFitted = () => Object.entries(fitted).every(([name, value]) => view[name] === value);
new ResizeObserver(() => (view.photo && isFitted() ? fit() : draw())).observe(canvas);
$("hints").onchange = $("opacity").oninput = draw;
$("in").onclick = () => zoom(1.3);
$("out").onclick = () => zoom(1 / 1.3);
$("fit").onclick = fit;

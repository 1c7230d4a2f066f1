// The hint that lies under the eraser.

import { edit } from "./editing.js";
import { isIn } from "./regions.js";
import { hints, isShown, view } from "./state.js";

function distance([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const part = length ? Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1) : 0;
  return Math.hypot(x - ax - part * (bx - ax), y - ay - part * (by - ay));
}

// { type, index } of the topmost hint near a place that is shown; null where there is none.
export function hintAt([x, y]) {
  const { points, strokes, boxes } = hints.drawn, reach = 8 / view.scale;
  const near = ({ vertices, width }) => Math.min(...vertices.map((vertex, index) => distance([x, y], vertices[Math.max(index - 1, 0)], vertex))) < reach + width / 2;
  const onEdge = (box) => x > box.x0 - reach && x < box.x1 + reach && y > box.y0 - reach && y < box.y1 + reach
    && !(x > box.x0 + reach && x < box.x1 - reach && y > box.y0 + reach && y < box.y1 - reach);
  const point = points.findLastIndex((one) => isShown(one) && Math.hypot(one.x - x, one.y - y) < reach + 4 / view.scale);
  if (point >= 0) return { type: "points", index: point };
  const stroke = strokes.findLastIndex((one) => isShown(one) && near(one));
  if (stroke >= 0) return { type: "strokes", index: stroke };
  const box = boxes.findLastIndex((one) => isShown(one) && onEdge(one));
  if (box >= 0) return { type: "boxes", index: box };
  const region = (hints.drawn.regions ?? []).findLastIndex((one) => isShown(one) && isIn(one, [x, y]));
  return region >= 0 ? { type: "regions", index: region } : null;
}

export function erase(at) {
  const found = hintAt(at);
  if (found) edit((state) => state[found.type].splice(found.index, 1));
}

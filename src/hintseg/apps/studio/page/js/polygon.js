// A polygon, filled with strokes of its class: corners by click, closed by a double click, Enter or its first corner.

import { edit } from "./editing.js";
import { emit, hand, view } from "./state.js";

const STROKE = 4; // width of the strokes that fill it, in pixels of the image

// Where a row crosses the polygon, from left to right.
function crossings(corners, y) {
  const found = [];
  corners.forEach(([ax, ay], place) => {
    const [bx, by] = corners[(place + 1) % corners.length];
    if (ay <= y !== by <= y) found.push(ax + ((y - ay) / (by - ay)) * (bx - ax));
  });
  return found.sort((one, other) => one - other);
}

function filled(corners, label) {
  const rows = corners.map(([, y]) => y), strokes = [];
  const width = Math.max(STROKE, Math.ceil((Math.max(...rows) - Math.min(...rows)) / 150));
  for (let y = Math.min(...rows) + width / 2; y < Math.max(...rows); y += width) {
    const places = crossings(corners, y);
    for (let place = 0; place + 1 < places.length; place += 2) {
      const [from, to] = [places[place] + width / 2, places[place + 1] - width / 2].map((x) => Math.round(x * 10) / 10);
      const row = Math.round(y * 10) / 10;
      if (to >= from) strokes.push({ label, width, vertices: to > from ? [[from, row], [to, row]] : [[from, row]] });
    }
  }
  return strokes;
}

export function addCorner(at) {
  const current = hand.current?.kind === "polygon" ? hand.current : { kind: "polygon", corners: [], label: hand.label };
  const [first] = current.corners;
  if (current.corners.length > 2 && Math.hypot(first[0] - at[0], first[1] - at[1]) < 10 / view.scale) return closePolygon();
  current.corners.push(at);
  hand.current = current;
}

export function closePolygon() {
  const current = hand.current;
  if (current?.kind !== "polygon") return;
  hand.current = null;
  const strokes = current.corners.length > 2 ? filled(current.corners, current.label) : [];
  if (strokes.length) edit((state) => state.strokes.push(...strokes)); else emit("view");
}

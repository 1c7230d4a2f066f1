// A polygon, filled with its class: corners by click, closed by a double click, Enter or its first corner.

import { addRegion } from "./fill.js";
import { emit, hand, view } from "./state.js";

// Where a line crosses the polygon, from left to right.
function crossings(corners, y) {
  const found = [];
  corners.forEach(([ax, ay], place) => {
    const [bx, by] = corners[(place + 1) % corners.length];
    if (ay <= y !== by <= y) found.push(ax + ((y - ay) / (by - ay)) * (bx - ax));
  });
  return found.sort((one, other) => one - other);
}

// The pixels whose middle lies inside.
function inside(corners) {
  const rows = corners.map(([, y]) => y), runs = [];
  for (let row = Math.floor(Math.min(...rows)); row <= Math.max(...rows); row += 1) {
    const places = crossings(corners, row + 0.5);
    for (let place = 0; place + 1 < places.length; place += 2) {
      const [start, end] = [Math.ceil(places[place] - 0.5), Math.floor(places[place + 1] - 0.5) + 1];
      if (start < end) runs.push(row, start, end);
    }
  }
  return runs;
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
  const runs = current.corners.length > 2 ? inside(current.corners) : [];
  if (runs.length) addRegion(current.label, runs); else emit("view");
}

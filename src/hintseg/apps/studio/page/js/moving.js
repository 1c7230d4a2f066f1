// A point or a box that is dragged; a box by its corner changes its size.

import { inform } from "./dom.js";
import { hintAt } from "./erase.js";
import { hints, view } from "./state.js";

const between = (value, low, high) => Math.min(Math.max(value, low), high);

export function grab(at) {
  const found = hintAt(at);
  if (!found) return null;
  if (!["points", "boxes"].includes(found.type)) {
    inform("Only points and boxes can be moved. Rub out or erase this one, then draw it anew.", view.key);
    return null;
  }
  const hint = hints.drawn[found.type][found.index], reach = 10 / view.scale;
  const corner = found.type === "boxes" && {
    x: Math.abs(at[0] - hint.x0) < reach ? "x0" : Math.abs(at[0] - hint.x1) < reach ? "x1" : null,
    y: Math.abs(at[1] - hint.y0) < reach ? "y0" : Math.abs(at[1] - hint.y1) < reach ? "y1" : null,
  };
  return { kind: "move", ...found, from: at, original: hint, hint, corner: corner && corner.x && corner.y ? corner : null };
}

export function dragged({ type, from, original, corner }, [x, y]) {
  const [dx, dy] = [Math.round(x - from[0]), Math.round(y - from[1])];
  if (type === "points") return { ...original, x: between(original.x + dx, 0, view.width - 1), y: between(original.y + dy, 0, view.height - 1) };
  if (corner) {
    const moved = { ...original, [corner.x]: between(original[corner.x] + dx, 0, view.width), [corner.y]: between(original[corner.y] + dy, 0, view.height) };
    return moved.x1 - moved.x0 > 3 && moved.y1 - moved.y0 > 3 ? moved : original;
  }
  const [bx, by] = [between(dx, -original.x0, view.width - original.x1), between(dy, -original.y0, view.height - original.y1)];
  return { ...original, x0: original.x0 + bx, x1: original.x1 + bx, y0: original.y0 + by, y1: original.y1 + by };
}

// What lies inside the image that is open: its file may have become smaller since hints were drawn.

import { withinSize } from "./regions.js";
import { rest } from "./rub.js";
import { view } from "./state.js";

export function within(state) {
  const { width, height } = view, isOut = ([x, y]) => x < 0 || y < 0 || x > width || y > height;
  return {
    ...state,
    strokes: state.strokes.flatMap((stroke) => (stroke.vertices.some(isOut) ? rest(stroke, isOut) : [stroke])),
    points: state.points.filter(({ x, y }) => x >= 0 && y >= 0 && x < width && y < height),
    boxes: state.boxes.map((box) => ({ ...box, x0: Math.max(box.x0, 0), y0: Math.max(box.y0, 0), x1: Math.min(box.x1, width), y1: Math.min(box.y1, height) }))
      .filter(({ x0, y0, x1, y1 }) => x0 < x1 && y0 < y1),
    regions: state.regions && withinSize(state.regions, width, height),
  };
}

// The eraser that takes away what it is drawn over: points, and the parts of strokes and regions below it.

import { withoutDiscs } from "./regions.js";
import { hints, isShown } from "./state.js";

// The same line with vertices at most `step` apart.
function dense(vertices, step) {
  const found = [vertices[0]];
  for (const [x, y] of vertices.slice(1)) {
    const [ax, ay] = found.at(-1), count = Math.ceil(Math.hypot(x - ax, y - ay) / step);
    for (let part = 1; part <= count; part += 1) found.push([ax + ((x - ax) * part) / count, ay + ((y - ay) * part) / count]);
  }
  return found;
}

// What is left of a stroke, as strokes; the stroke itself where nothing of it is taken.
export function rest(stroke, isGone) {
  const places = dense(stroke.vertices, Math.max(stroke.width / 4, 1));
  if (!places.some(isGone)) return [stroke];
  const parts = [[]];
  for (const place of places) {
    if (isGone(place)) parts.push([]); else parts.at(-1).push([Math.round(place[0] * 10) / 10, Math.round(place[1] * 10) / 10]);
  }
  return parts.filter((part) => part.length).map((vertices) => ({ ...stroke, vertices }));
}

// The hints without what is shown within `radius` of a line that was drawn.
export function rubbed(state, line, radius) {
  const places = dense(line, Math.max(radius / 3, 0.5));
  const near = ([x, y], more = 0) => places.some(([px, py]) => Math.hypot(px - x, py - y) <= radius + more);
  return {
    ...state,
    strokes: state.strokes.flatMap((stroke) => (isShown(stroke) ? rest(stroke, (place) => near(place)) : [stroke])),
    points: state.points.filter((point) => !isShown(point) || !near([point.x, point.y], 1)),
    regions: state.regions && [...state.regions.filter((region) => !isShown(region)), ...withoutDiscs(state.regions.filter(isShown), places, radius)],
  };
}

export const takesAway = (line, radius) => JSON.stringify(rubbed(hints.drawn, line, radius)) !== JSON.stringify(hints.drawn);

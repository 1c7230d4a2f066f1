// Hints of one image as plain values: compared, joined, counted.

export const EMPTY = { strokes: [], points: [], boxes: [], tags: [] };
const TYPES = Object.keys(EMPTY);

export const only = ({ strokes, points, boxes, tags }) => ({ strokes, points, boxes, tags });
export const placed = (state) => state.strokes.length + state.points.length + state.boxes.length > 0;

const plain = (hint) => JSON.stringify(hint, (name, value) => (value && !Array.isArray(value) && typeof value === "object"
  ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))) : value));

export const same = (one, other) => TYPES.every((type) => {
  const [mine, theirs] = [one, other].map((state) => state[type].map(plain));
  return JSON.stringify(type === "tags" ? mine.sort() : mine) === JSON.stringify(type === "tags" ? theirs.sort() : theirs);
});

export function union(one, other) {
  const both = {};
  for (const type of TYPES) {
    const known = new Set(one[type].map(plain));
    both[type] = [...one[type], ...other[type].filter((hint) => !known.has(plain(hint)))];
  }
  return both;
}

// Those whose class is still there, and how many are not.
export function ofClasses(state, known) {
  const kept = {};
  let left = 0;
  for (const type of TYPES) {
    kept[type] = state[type].filter((hint) => known.has(type === "tags" ? hint : hint.label));
    left += state[type].length - kept[type].length;
  }
  return { kept, left };
}

const NAMES = { strokes: "stroke", points: "point", boxes: "box", tags: "ticked class" };
export const plural = (name, count) => (count === 1 ? name : /[sx]$/.test(name) ? `${name}es` : `${name}s`);

export function counted(state) {
  return TYPES.filter((type) => state[type].length).map((type) => `${state[type].length} ${plural(NAMES[type], state[type].length)}`).join(", ") || "no hints";
}

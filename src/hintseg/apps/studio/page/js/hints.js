// Hints of one image as plain values: compared, joined, counted.

// `regions` is null where the image's scribble map is too fine to be edited here; it then stays as it is.
export const EMPTY = { strokes: [], points: [], boxes: [], regions: [], tags: [] };
const TYPES = Object.keys(EMPTY);

export const only = ({ strokes, points, boxes, regions = null, tags }) => ({ strokes, points, boxes, regions, tags });
export const localized = (state) => ["strokes", "points", "boxes", "regions"].some((type) => state[type]?.length);

// A copy that later changes do not reach; the runs of regions, which are long and never change, are shared.
export const copied = ({ regions, ...rest }) => ({ ...structuredClone(rest), regions: regions && [...regions] });

// Of the runs of a region: row, first column, end.
export function* threes(runs) {
  for (let at = 0; at < runs.length; at += 3) yield [runs[at], runs[at + 1], runs[at + 2]];
}

// The same for the same pixels, however they were put into regions.
function asText(regions) {
  const all = regions.flatMap(({ label, runs }) => [...threes(runs)].map(([row, start, end]) => ({ label, row, start, end })));
  all.sort((one, other) => one.row - other.row || one.start - other.start);
  const joined = [];
  for (const run of all) {
    const last = joined.at(-1);
    if (last && last.row === run.row && last.end === run.start && last.label === run.label) last.end = run.end;
    else joined.push(run);
  }
  return joined.map(({ label, row, start, end }) => `${label} ${row} ${start} ${end}`).join(";");
}

const plain = (hint) => JSON.stringify(hint, (name, value) => (value && !Array.isArray(value) && typeof value === "object"
  ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))) : value));

// Regions that are null, a map too fine to be listed, are never the same as none.
export const same = (one, other) => (one.regions === null) === (other.regions === null) && TYPES.every((type) => {
  if (type === "regions") return asText(one.regions ?? []) === asText(other.regions ?? []);
  const [mine, theirs] = [one, other].map((state) => state[type].map(plain));
  return JSON.stringify(type === "tags" ? mine.sort() : mine) === JSON.stringify(type === "tags" ? theirs.sort() : theirs);
});

export function union(one, other) {
  const both = {};
  for (const type of TYPES) {
    const mine = one[type] ?? [], known = new Set(mine.map(plain));
    both[type] = [...mine, ...(other[type] ?? []).filter((hint) => !known.has(plain(hint)))];
  }
  if (one.regions === null || other.regions === null) both.regions = null;
  return both;
}

// Those that another state lacks.
export function missing(one, other) {
  const left = {};
  for (const type of TYPES) {
    const there = new Set((other[type] ?? []).map(plain));
    left[type] = one[type] && one[type].filter((hint) => !there.has(plain(hint)));
  }
  return left;
}

// Those whose class is still there, and how many are not.
export function ofClasses(state, known) {
  const kept = {};
  let left = 0;
  for (const type of TYPES) {
    kept[type] = state[type] && state[type].filter((hint) => known.has(type === "tags" ? hint : hint.label));
    left += (state[type]?.length ?? 0) - (kept[type]?.length ?? 0);
  }
  return { kept, left };
}

const NAMES = { strokes: "stroke", points: "point", boxes: "box", regions: "region", tags: "ticked class" };
export const plural = (name, count) => (count === 1 ? name : /[sx]$/.test(name) ? `${name}es` : `${name}s`);

export function counted(state) {
  return TYPES.filter((type) => state[type]?.length).map((type) => `${state[type].length} ${plural(NAMES[type], state[type].length)}`).join(", ") || "no hints";
}

// Hint types of an image that had these, once a state of what is drawn is saved.
export function typesAfter(before, state) {
  const mapped = state.regions ?? (before.includes("scribbles") ? [null] : []); // null: a scribble map that stays
  const types = { scribbles: [...state.strokes, ...mapped], points: state.points, boxes: state.boxes, tags: state.tags };
  return [...Object.keys(types).filter((type) => types[type].length), ...before.filter((type) => !(type in types))];
}

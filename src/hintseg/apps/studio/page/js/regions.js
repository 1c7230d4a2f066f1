// Filled areas of pixels: painted, found under a place, and rubbed out in part. A region is { label, runs }, its runs
// threes of row, first column and end in one flat list, which is never changed but replaced.

import { threes } from "./hints.js";
import { color, view } from "./state.js";

let known = { parts: [], picture: null };

// One picture of them all, made anew when one of them or its color changes.
export function regionsPicture(regions) {
  const parts = regions.flatMap(({ label, runs }) => [runs, color(label)]);
  if (parts.length === known.parts.length && parts.every((part, place) => part === known.parts[place])) return known.picture;
  known = { parts, picture: painted(regions.map(({ label, runs }) => [runs, color(label)])) };
  return known.picture;
}

export function painted(areas) {
  const picture = new OffscreenCanvas(view.width, view.height), pen = picture.getContext("2d");
  for (const [runs, fill] of areas) {
    pen.fillStyle = fill;
    for (const [row, start, end] of threes(runs)) pen.fillRect(start, row, end - start, 1);
  }
  return picture;
}

export function isIn({ runs }, [x, y]) {
  const [column, line] = [Math.floor(x), Math.floor(y)];
  for (const [row, start, end] of threes(runs)) if (row === line && start <= column && column < end) return true;
  return false;
}

// Row → columns [start, end) whose pixels have their middle within `radius` of one of the places.
function discs(places, radius) {
  const rows = new Map();
  for (const [x, y] of places) {
    for (let row = Math.ceil(y - radius - 0.5); row <= Math.floor(y + radius - 0.5); row += 1) {
      const half = Math.sqrt(radius ** 2 - (row + 0.5 - y) ** 2);
      if (!rows.has(row)) rows.set(row, []);
      rows.get(row).push([Math.ceil(x - half - 0.5), Math.floor(x + half - 0.5) + 1]);
    }
  }
  return rows;
}

// The regions without what is within `radius` of one of the places; those that nothing is taken from stay themselves.
export const withoutDiscs = (regions, places, radius) => without(regions, discs(places, radius));

// The same for the pixels of another region.
export function withoutRuns(regions, runs) {
  const gone = new Map();
  for (const [row, start, end] of threes(runs)) gone.set(row, [...(gone.get(row) ?? []), [start, end]]);
  return without(regions, gone);
}

// The part of the regions that lies in an image of that size.
export const withinSize = (regions, width, height) => without(regions, { get: (row) => [[row < height ? width : 0, Infinity]] });

function without(regions, gone) {
  return regions.map((region) => {
    const left = [];
    let isTaken = false;
    for (const [row, start, end] of threes(region.runs)) {
      let parts = [[start, end]];
      for (const [from, to] of gone.get(row) ?? []) {
        parts = parts.flatMap(([a, b]) => (from < b && a < to ? [[a, from], [to, b]].filter(([c, d]) => c < d) : [[a, b]]));
      }
      isTaken ||= parts.length !== 1 || parts[0][0] !== start || parts[0][1] !== end;
      for (const [a, b] of parts) left.push(row, a, b);
    }
    return isTaken ? { ...region, runs: left } : region;
  }).filter(({ runs }) => runs.length);
}

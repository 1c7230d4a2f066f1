// Fill: the whole area of the mask that is clicked gets the class, as a region.

import { complain } from "./dom.js";
import { edit } from "./editing.js";
import { withoutRuns } from "./regions.js";
import { emit, hand, hints, view } from "./state.js";

const MOST_RUNS = 50_000; // of one image, which the server takes

export function addRegion(label, runs) {
  const { regions } = hints.drawn;
  emit("view");
  if (!regions) return complain("this image's imported scribble map is too fine to be changed here; draw strokes");
  const all = [...withoutRuns(regions, runs), { label, runs }];
  if (all.reduce((sum, region) => sum + region.runs.length / 3, 0) > MOST_RUNS) return complain("this area is too finely cut to be filled; draw strokes");
  edit((state) => { state.regions = all; });
}

// The pixels of the mask that hang together with one and have its color.
function area(pixels, width, from) {
  const found = new Uint8Array(pixels.length), waiting = [from], wanted = pixels[from];
  found[from] = 1;
  const take = (at) => { if (!found[at] && pixels[at] === wanted) { found[at] = 1; waiting.push(at); } };
  while (waiting.length) {
    const at = waiting.pop(), column = at % width;
    if (column) take(at - 1);
    if (column < width - 1) take(at + 1);
    if (at >= width) take(at - width);
    if (at + width < pixels.length) take(at + width);
  }
  return found;
}

// As runs in pixels of the image, of which those of a reduced mask are several.
function runsOf(found, width, height) {
  const [across, down] = [view.width / width, view.height / height], runs = [];
  for (let line = 0; line < height; line += 1) {
    for (let start = 0, end; start < width; start = end + 1) {
      while (start < width && !found[line * width + start]) start += 1;
      for (end = start; end < width && found[line * width + end];) end += 1;
      if (start === end) continue;
      for (let row = Math.round(line * down); row < Math.round((line + 1) * down); row += 1) runs.push(row, Math.round(start * across), Math.round(end * across));
    }
  }
  return runs;
}

export function fill([x, y]) {
  if (!view.mask) return complain("nothing can be filled while no mask is shown: draw a stroke of every class first");
  const { width, height } = view.mask, pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(view.mask, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
  const place = Math.floor((y * height) / view.height) * width + Math.floor((x * width) / view.width);
  addRegion(hand.label, runsOf(area(pixels, width, place), width, height));
}

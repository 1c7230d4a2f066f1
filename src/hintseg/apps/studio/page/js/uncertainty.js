// Where the model is uncertain: a heat map over the open image, a ring round the most uncertain place, and the way there.

import { $, attempt } from "./dom.js";
import { openFrom, uncertainty } from "./images.js";
import { address, bitmap, instead } from "./server.js";
import { emit, on, project, view } from "./state.js";

async function showHeat() {
  const key = view.key, signal = instead("heat");
  if (!key || !$("heat").checked) { view.heat = null; $("heat-note").textContent = ""; return emit("view"); }
  if (!view.heat) $("heat-note").textContent = "finding it …";
  try {
    const heat = await bitmap(address("uncertainty", key), signal);
    if (signal.aborted || key !== view.key) return;
    view.heat = heat;
    $("heat-note").textContent = "bright: uncertain";
  } catch (error) {
    if (signal.aborted) return;
    view.heat = null;
    $("heat-note").textContent = error.message;
  }
  emit("view");
}
$("heat").onchange = showHeat;
on("mask", () => { if ($("heat").checked) showHeat(); });

// The most uncertain image that this walk has not opened yet; an image opened in another way begins a new walk.
let walk = [];
export const nextUncertain = attempt(async () => {
  if (walk.at(-1) !== view.key) walk = [view.key];
  const ranked = project.images.filter((entry) => uncertainty(entry) >= 0 && entry.key !== view.key)
    .sort((one, other) => uncertainty(other) - uncertainty(one)).map((entry) => entry.key);
  if (ranked.every((key) => walk.includes(key))) walk = [];
  try { await openFrom(ranked.filter((key) => !walk.includes(key)), 0, 1); } finally { walk.push(view.key); }
});

$("hottest").onclick = nextUncertain;
on("images", () => { $("hottest").disabled = Object.keys(project.uncertain).length < 2; });

// Undo and redo, one step after the other through all images: the image of a step is opened first.

import { attempt } from "./dom.js";
import { forget, remembered, restore } from "./editing.js";
import { ofClasses } from "./hints.js";
import { open } from "./image.js";
import { hints, project, view } from "./state.js";

let steps = Promise.resolve(); // one at a time

async function step(from, to) {
  const last = hints[from].at(-1);
  if (!last) return;
  if (last.key !== view.key) {
    try { await open(last.key); } catch (error) { forget(last.key); throw error; }
    if (last.key !== view.key || hints[from].at(-1) !== last) return; // changed elsewhere: there is nothing to go back to
  }
  hints[from].pop();
  hints[to].push(remembered());
  restore(ofClasses(last.state, new Set(project.classes.map((entry) => entry.id))).kept);
}

const queued = (from, to) => () => { steps = steps.then(attempt(() => step(from, to))); };
export const undo = queued("past", "future");
export const redo = queued("future", "past");

// Every change of the open image's hints, with undo and redo.

import { only } from "./hints.js";
import { save } from "./saving.js";
import { emit, hints } from "./state.js";

export function edit(change) {
  hints.past.push(structuredClone(hints.drawn));
  if (hints.past.length > 200) hints.past.shift();
  hints.future = [];
  change(hints.drawn);
  save();
  emit("hints");
}

function step(from, to) {
  if (!from.length) return;
  to.push(hints.drawn);
  hints.drawn = from.pop();
  save();
  emit("hints");
}
export const undo = () => step(hints.past, hints.future);
export const redo = () => step(hints.future, hints.past);

// Undo would take back what others drew, so that it begins anew.
export function adopt(state) {
  Object.assign(hints, { drawn: structuredClone(only(state)), past: [], future: [] });
  emit("hints");
}

// Every change of the open image's hints, and the history of all images that undo goes back through.

import { copied, only, same } from "./hints.js";
import { save } from "./saving.js";
import { emit, hints, view } from "./state.js";
import { within } from "./within.js";

const MOST = 500;
const left = new Map(); // key → the state that the history of an image leads to

export function edit(change) {
  hints.past.push(remembered());
  if (hints.past.length > MOST) hints.past.shift();
  hints.future = [];
  change(hints.drawn);
  changed();
}

export const remembered = () => ({ key: view.key, state: copied(hints.drawn) });

export function restore(state) {
  hints.drawn = within(copied(state));
  changed();
}

function changed() {
  left.set(view.key, copied(hints.drawn));
  save();
  emit("hints");
}

// What the folder holds of the image that is open, as far as it lies inside. Where that is not what was left there, undo
// would take back what others drew: the history of this image then begins anew.
export function adopt(state) {
  const found = within(only(state));
  if (left.has(view.key) && !same(left.get(view.key), found)) forget(view.key);
  hints.drawn = structuredClone(found);
  emit("hints");
}

export function forget(key) {
  left.delete(key);
  for (const name of ["past", "future"]) hints[name] = hints[name].filter((entry) => entry.key !== key);
  emit("hints");
}

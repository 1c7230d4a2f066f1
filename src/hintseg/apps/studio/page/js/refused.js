// What the server does not take: it stays in the page, and is sent again when it may fit.

import { complain } from "./dom.js";
import { readProject } from "./project.js";
import { conflicts, flush, markSaved, waiting } from "./saving.js";
import { emit, imageOf, on, view } from "./state.js";

export const refused = new Map(); // key → state that the server cannot take
const reasons = new Map(); // key → why
const retried = new Set(); // keys of refused states that are sent once more
const gone = new Set(); // keys of these whose image is not in the project any more
let tried = 0; // when they were sent again

// Something newer is there, which holds all of what was refused before.
export function begins(key) {
  retried.delete(key);
  refused.delete(key);
}

// Sending it again would not help, unless what it is about is mended.
export async function refuse(key, state, error) {
  if (waiting.get(key) !== state) return; // something newer waits, which holds all of it
  waiting.delete(key);
  if (conflicts.has(key)) conflicts.get(key).mine = state; else refused.set(key, state);
  reasons.set(key, Object.assign(error, { stays: () => refused.has(key) }));
  if (!retried.has(key)) await readProject().catch(() => {});
  markSaved();
  if (!imageOf(key) || error.status === 404) { gone.add(key); emit("notice"); }
  else if (!retried.has(key)) complain(error); // once, though it is tried again
  retried.delete(key);
}

on("opened", () => { if (refused.has(view.key) && !gone.has(view.key)) queueMicrotask(() => complain(reasons.get(view.key))); }); // after what takes messages away

// What was refused may have been for a file that was mended since.
function tryAgain() {
  tried = Date.now();
  for (const [key, state] of refused) if (!gone.has(key) && !waiting.has(key)) { waiting.set(key, state); retried.add(key); }
  if (waiting.size) flush();
}
on("changed", tryAgain);
on("polled", () => { if (Date.now() - tried > 15000) tryAgain(); });
on("back", () => { tryAgain(); markSaved(); });

// What was drawn last on an image that is gone; it is sent again once the image is back.
export const lost = () => [...refused].find(([key]) => gone.has(key));

on("images", () => {
  for (const key of gone) {
    if (!refused.has(key)) gone.delete(key);
    else if (imageOf(key)) {
      gone.delete(key);
      if (!waiting.has(key)) waiting.set(key, refused.get(key)); // else something newer waits
      flush();
      emit("notice");
    }
  }
});

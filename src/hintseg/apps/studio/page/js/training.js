// Training in the background, and the poll that follows it and what other tabs save.

import { $, arrange, attempt, complain, inform, mark } from "./dom.js";
import { follow, reopen } from "./image.js";
import { isFinding } from "./mask.js";
import { changesSoFar, readProject, takeModel, takeTypes } from "./project.js";
import { allSaved, isAllSaved, leftOut, seen, whileAway } from "./saving.js";
import { instead, send, soon } from "./server.js";
import { emit, imageOf, project, view } from "./state.js";
import { isLate } from "./table.js";

let polling = null;
let before = null; // the state that was shown last
let folder = null; // version of the project's files as of the last answer
let failed = false; // the last poll
let told = null; // version of a mask that was asked for because the server told of it
let furthest = 0; // of the run: stages that come again do not move the bar back

function remaining(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `, about ${Math.max(Math.ceil(seconds / 5) * 5, 5)} s left`;
  return `, about ${Math.round(seconds / 60)} min left`;
}

// Whether this browser was not told yet how a run ended that it did not see.
function isNews(run) {
  const name = `hintseg ${project.folder}`;
  try {
    if (localStorage.getItem(name) === run) return false;
    localStorage.setItem(name, run);
  } catch { /* a browser that keeps nothing is told each time */ }
  return true;
}

export function showState(state) {
  if (!state.run && before?.training) state = { ...state, run: before.run }; // finished while the server was away
  const run = before?.run === state.run ? before : null;
  arrange("training", () => {
    $("train").hidden = $("effort").hidden = state.training;
    $("stop").hidden = $("progress").hidden = !state.training;
  });
  if (state.training) {
    if (before && !run) inform(""); // about an earlier one
    furthest = Math.max(run ? furthest : 0, state.part ?? 0);
    if (furthest) $("bar").value = furthest; else $("bar").removeAttribute("value"); // moves by itself
    $("stage").textContent = `${state.stage}${state.total ? ` ${state.done} of ${state.total}` : ""}${remaining(state.left ?? null)}`;
  } else if (run?.training && state.stopped && state.model !== state.run) { // else it was done before it could stop
    inform(`Training was stopped. All hints and accepted masks stay, and masks come from where they came before. What ${state.run} had learned is not used.`);
  } else if (run?.training && !state.error && state.model !== state.run) {
    inform(`${state.run} is finished, but not used: classes were changed while it trained. Train again for one that knows them.`);
  } else if (run?.training && !state.error) {
    inform(`${state.run} is finished: masks of all images come from it now, corrected by each image's own hints.`, "", state.run);
  }
  if (state.error && state.error !== before?.error && (isNews(state.run) || run)) inform(`Training ended: ${state.error}`);
  before = state;
}

// A newer poll ends the older: what was asked for before training was started or stopped may not know of it.
export async function poll() {
  clearTimeout(polling);
  const signal = instead("poll");
  let wait = 4000;
  try {
    const key = view.key, since = changesSoFar();
    const state = await soon(`/api/state?${new URLSearchParams({ ...(key && { key }), ...(folder && { seen: folder }) })}`, { signal });
    if (failed && $("error").dataset.away) complain(null);
    showState(state);
    if (state.training) wait = 1000;
    await compare(state, key);
    if (state.hint_types) { takeTypes(state.hint_types, since); emit("changed"); }
    folder = state.versions.folder;
    if (failed) { emit("back"); emit("mask"); }
    emit("polled");
    failed = false;
  } catch (error) { // the next poll tries again
    if (!signal.aborted) failed = true;
    if (!signal.aborted && error.isOther) complain(whileAway(error));
    else if (!signal.aborted && error.away && isAllSaved()) mark(error.message, true); // else that it is not saved is said
  }
  if (!signal.aborted) polling = setTimeout(poll, wait);
}

async function compare(state, key) {
  const ranked = JSON.stringify(state.uncertain) !== JSON.stringify(project.uncertain);
  project.uncertain = state.uncertain;
  if (ranked) { emit("images"); emit("view"); }
  const learned = JSON.stringify([state.model, state.unlearned]) !== JSON.stringify([project.model, project.unlearned]);
  if (learned) {
    takeModel({ run: state.newest, model: state.model, unlearned: state.unlearned });
    emit("mask");
  }
  const { classes, images, hints, accepted, mask, image } = state.versions;
  const others = images !== project.images.length || (state.hint_types && project.images.some((image) => !state.hint_types[image.key]));
  if (!isLate() && (classes !== project.version || others)) await readProject();
  if (!hints || key !== view.key) return;
  if (accepted !== imageOf(key)?.hint_types.includes("masks")) await readProject();
  if (image !== view.image) await reopen(image);
  if (hints !== seen(key) || accepted !== view.accepted) await follow();
  if (mask && mask !== told && !isFinding() && view.tag !== `"${mask}"`) {
    told = mask;
    emit("mask"); // what it follows from was changed elsewhere
  }
}

$("train").onclick = attempt(async () => {
  await allSaved();
  showState(await send("/api/train", "POST", { effort: $("effort").value }));
  if (leftOut().length) inform(`This training leaves out what is not saved of ${leftOut().join(", ")}.`);
  poll();
});
$("stop").onclick = attempt(async () => {
  showState(await send("/api/stop", "POST", {}));
  poll();
});

// Saving: the newest state of an image is sent until the server has it.

import { complain, mark, outdate, pause } from "./dom.js";
import { copied, same, typesAfter } from "./hints.js";
import { noteTypes, readProject } from "./project.js";
import { begins, refuse, refused } from "./refused.js";
import { address, send, soon } from "./server.js";
import { emit, hints, imageOf, view } from "./state.js";

export const waiting = new Map(); // key → state still to be sent
export const versions = new Map(); // key → version on disk that this page's state follows from
export const conflicts = new Map(); // key → { theirs, mine, copies }: changed elsewhere
const sent = new Map(); // key → states that were sent, and may be on disk whatever the answer was
const held = new Map(); // key → { version, regions }: what the server holds as of a version; long, so sent only when changed
const drawnOn = new WeakMap(); // state → version of the image file that it was drawn on
let sending = false, away = false; // away: the server did not answer

export const isSending = () => sending;
export const isAllSaved = () => !waiting.size && !conflicts.size && !refused.size;
export const unsaved = (key) => waiting.get(key) ?? conflicts.get(key)?.mine ?? refused.get(key);

// Whether all that was drawn is on disk, of every image.
export function markSaved() {
  if (conflicts.size) mark(`NOT saved: ${[...conflicts.keys()].join(", ")} changed elsewhere`, true);
  else if (refused.size) mark(`NOT saved: ${[...refused.keys()].join(", ")}`, true);
  else if (sent.size) mark("NOT saved", true);
  else mark(waiting.size ? "saving …" : "saved");
}

export function save() {
  const state = copied(hints.drawn);
  drawnOn.set(state, view.image);
  waiting.set(view.key, state);
  begins(view.key);
  mark("saving …");
  flush();
}

// Keys of what stays unsaved when nothing waits any more.
export const leftOut = () => [...new Set([...conflicts.keys(), ...refused.keys()])];

// Until the server has all that was drawn; an error where it does not answer.
export async function allSaved() {
  while (waiting.size) {
    if (away) throw Object.assign(new Error("the server does not answer, so that nothing else can begin; what you drew is kept here and sent again"), { away: true });
    await pause(50);
  }
}

export function settle(key, stores = [conflicts, waiting, sent, refused]) {
  for (const store of stores) store.delete(key);
}

// The hints of an image now follow from that version, whatever was in conflict.
export function followFrom(key, version) {
  versions.set(key, version);
  settle(key, [conflicts, sent, held]);
}

function toSend(key, state) {
  const before = held.get(key), { regions } = state;
  const there = before?.version === versions.get(key) ? before?.regions : null; // else somebody else saved since
  const isHeld = there && regions && there.length === regions.length && regions.every((one, place) => one === there[place]);
  return isHeld ? { ...state, regions: null } : state;
}

// What is said where the server is away: what is not saved is on this page alone.
export function whileAway({ isOther, message }) {
  const what = isOther ? message : "the server does not answer", advice = isOther ? ", or reload this page to see the other folder" : "";
  const kept = "; what you drew is kept here and sent again. Do not reload this page: what is not saved would be lost";
  return Object.assign(new Error(what + (isAllSaved() ? advice : kept)), { away: true });
}

export async function flush() {
  if (sending) return;
  sending = true;
  while (waiting.size) {
    const [key, state] = waiting.entries().next().value;
    try {
      const answer = await send(address("hints", key), "PUT", toSend(key, state), versions.get(key), { "Hintseg-Image": drawnOn.get(state) ?? "" }, soon);
      away = false;
      versions.set(key, answer.version);
      settle(key, [sent, conflicts]);
      begins(key);
      held.set(key, { version: answer.version, regions: state.regions });
      if (waiting.get(key) === state) waiting.delete(key);
      markSaved();
      complain(null);
      outdate(`outside ${key}`);
      noteTypes(key, typesAfter(imageOf(key)?.hint_types ?? [], state));
      if (key === view.key && !waiting.has(key)) { emit("notice"); emit("mask"); }
    } catch (error) {
      away = !error.status;
      if (error.status === 409) { await disagree(key, state, error); continue; }
      sent.set(key, (sent.get(key) ?? new Set()).add(state));
      if (error.status) await refuse(key, state, error);
      else {
        markSaved();
        complain(whileAway(error));
        await pause(2000);
      }
    }
  }
  sending = false;
}

// The disk holds something else than this page has seen: its own state whose answer was lost, or somebody else's.
async function disagree(key, state, { current }) {
  if (same(state, current) || [...sent.get(key) ?? []].some((one) => same(one, current))) {
    versions.set(key, current.version);
    settle(key, [sent, held]);
    return;
  }
  if (waiting.get(key) === state) waiting.delete(key);
  const copies = [...(conflicts.get(key)?.copies ?? []), current.copy];
  conflicts.set(key, { theirs: current, mine: state, copies });
  begins(key);
  complain(null);
  markSaved();
  await readProject().catch(() => {});
  emit("notice");
}

// The version of an image's hints on disk that this page knows.
export const seen = (key) => conflicts.get(key)?.theirs.version ?? versions.get(key);

// What others made of an image since it is in conflict; where they took it back, nobody disagrees any more.
export function followTheirs(key, found) {
  const conflict = conflicts.get(key);
  if (!conflict || conflict.theirs.version === found.version) return;
  conflict.theirs = found;
  if (found.version === versions.get(key)) {
    if (!waiting.has(key)) waiting.set(key, conflict.mine);
    settle(key, [conflicts]);
    flush();
  }
  emit("notice");
}

window.addEventListener("beforeunload", (event) => { if (!isAllSaved()) event.preventDefault(); });

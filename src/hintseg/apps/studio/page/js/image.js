// The one image that is open: read whole, and followed when others change its hints.

import { $, arrange, inform, mark, outdate } from "./dom.js";
import { adopt } from "./editing.js";
import { only, same } from "./hints.js";
import { followTheirs, isSending, unsaved, versions, waiting } from "./saving.js";
import { address, bitmap, instead, soon } from "./server.js";
import { emit, hand, hints, imageOf, view } from "./state.js";

const isAccepted = (key) => imageOf(key)?.hint_types.includes("masks"); // as this page knows it

let opening = 0; // images, the last of which will be shown
let asked = null; // version of an image file that was written anew

export async function open(key) {
  const signal = instead("open");
  instead("mask");
  opening += 1;
  try { await read(key, signal); } catch (error) {
    if (!signal.aborted) emit("mask"); // of the image that stays
    throw error;
  } finally { opening -= 1; }
}

// An image is on the page only when all of it was read: what failed to load is never taken for "no hints".
async function read(key, signal) {
  const accepted = isAccepted(key);
  let found, before;
  do { // until no save came between
    before = versions.get(key);
    found = await soon(address("hints", key), { signal });
  } while (before !== versions.get(key));
  const photo = await bitmap(address("image", key), signal);
  const raster = found.raster ? await bitmap(address("raster", key), signal) : null;
  await new Promise((done) => arrange(signal, done)); // a stroke that is being drawn ends on the image it began on
  if (signal.aborted) return;
  const mine = unsaved(key);
  if (accepted !== isAccepted(key) || (!mine && before !== versions.get(key))) return open(key);
  if (!mine) versions.set(key, found.version);
  Object.assign(view, { key, raster, image: found.image, width: found.width, height: found.height, photo, displayed: null, mask: null, shown: null, heat: null, tag: null, accepted: found.accepted, kept: mine ? [] : found.kept });
  hand.current = null;
  view.highlight = null;
  emit("opened");
  adopt(mine ?? found);
  emit("notice");
  emit("mask");
  tellCorrections(key, found, mine ?? found);
}

// What the files hold and the page cannot show.
function tellCorrections(key, { corrections }, state) {
  const told = corrections.length || same(only(state), hints.drawn) ? corrections : ["hints outside the image left out"];
  if (!told.length) outdate(`outside ${key}`);
  else inform(`Not all hints of “${key}” can be shown: ${told.join("; ")}. Your next change of it saves what is shown; what is left out stays where it is, or in studio/kept/outside.`, key, `outside ${key}`);
}

// The image file itself was written anew: another picture, or one that cannot be read.
export async function reopen(version) {
  const { key } = view;
  if (opening || version === asked) return;
  asked = version; // once
  emit("replaced");
  try { await open(key); } catch { return emit("mask"); } // which says what is wrong
  if (key === view.key && $("info").dataset.key !== key) inform(`The image file of “${key}” was written anew, and is shown as it is now. Look whether its hints still fit.`, key);
}

// What others saved on the image that is open, while nothing of this page waits.
export async function follow() {
  const key = view.key, before = versions.get(key), accepted = isAccepted(key);
  const found = await soon(address("hints", key));
  if (key !== view.key || accepted !== isAccepted(key)) return;
  const accepts = found.accepted !== view.accepted;
  view.accepted = found.accepted;
  if (before !== versions.get(key) || hand.current || waiting.size || unsaved(key) || isSending()) {
    followTheirs(key, found);
    if (accepts) emit("mask");
    return;
  }
  view.kept = found.kept;
  if (found.version !== versions.get(key)) {
    versions.set(key, found.version);
    adopt(found);
    mark("shown as changed elsewhere");
    tellCorrections(key, found, found);
  }
  emit("notice");
  emit("mask");
}

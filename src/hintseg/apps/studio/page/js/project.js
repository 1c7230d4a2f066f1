// The project as the server has it: classes, images, and where masks come from.

import { inform, outdate } from "./dom.js";
import { askJson } from "./server.js";
import { emit, imageOf, project } from "./state.js";

let changes = 0; // of the project, as this page came to know them
const noted = new Map(); // key → { at, types }: hint types of an image that this page changed, and which change it was

export const changesSoFar = () => changes;

// Hint types that this page's own change made: what was asked for before it does not take them back.
export function noteTypes(key, types) {
  const image = imageOf(key);
  if (!image) return;
  image.hint_types = types;
  noted.set(key, { at: (changes += 1), types });
  emit("images");
}

// Hint types of all images, as the server has them.
export function takeTypes(types, since) {
  const changed = project.images.filter(({ key, hint_types }) => types[key] && !(noted.get(key)?.at > since) && types[key].join() !== hint_types.join());
  for (const image of changed) image.hint_types = types[image.key];
  if (changed.length) emit("images");
}

// Where masks come from.
export function takeModel(found) {
  if (found.run !== project.run) outdate(project.run);
  if (project.run && found.run === null) inform(`${project.run} is not used any more, as a class that it learned, or the run itself, is gone: masks come from the hints until you train again.`);
  Object.assign(project, found);
}

export function take(found, since = changes) {
  changes += 1;
  for (const image of found.images) if (noted.get(image.key)?.at > since) image.hint_types = noted.get(image.key).types;
  takeModel(found);
  emit("classes");
  emit("images");
}

// An answer that another one overtook may not know of a class or image that was just added: then it is asked for again.
export async function readProject() {
  const { version } = project;
  let before, since, found;
  do {
    [before, since] = [project.images, changes];
    found = await askJson("/api/project");
  } while (before !== project.images);
  take(found, since);
  if (version && version !== project.version) emit("mask"); // of classes that others changed
}

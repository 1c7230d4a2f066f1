// Changes of the class table, also those that came too late.

import { readProject, take } from "./project.js";
import { send } from "./server.js";
import { classOf, emit, hand, project } from "./state.js";

let late = null; // { change, before }: the change that came too late

export const isLate = () => late !== null;

// A change is one of: add a name, rename a class, choose the background, say that every class is named.
function changed(table, { add, rename, ...rest }) {
  const classes = table.classes.map(({ id, name }) => ({ id, name: id === rename?.id ? rename.name : name }));
  if (add && !classes.some((entry) => entry.name === add)) classes.push({ id: null, name: add });
  return { classes, background: table.background, complete: table.complete, ...rest };
}

export async function saveClasses(change) {
  try {
    take(await send("/api/classes", "PUT", changed(project, change), project.version));
    late = null;
  } catch (error) {
    if (error.status !== 409) { emit("classes"); throw error; }
    late = { change, before: project.classes };
    await readProject();
  }
  if (change.add && !late) hand.label = project.classes.find((entry) => entry.name === change.add)?.id ?? hand.label;
  emit("classes");
  emit("notice");
}

function said({ add, rename, complete, background }) {
  if (add) return `add “${add}”`;
  if (rename) return `rename “${rename.before}” to “${rename.name}”`;
  if (complete !== undefined) return complete ? "tick “every class named”" : "untick “every class named”";
  return `make “${classOf(background)?.name ?? "none"}” the background`;
}

export function tableNotice() {
  if (!late) return null;
  const { change, before } = late;
  const names = (table) => table.map((entry) => entry.name).join(", ") || "none";
  const there = names(before) === names(project.classes) ? "The class table was" : `The classes (now: ${names(project.classes)}) were`;
  return [`${there} changed elsewhere, in another tab or by another program. Your change is not saved: ${said(change)}.`, [
    ["Merge: keep both", "apply your change to the classes as they are now", () => saveClasses(change)],
    ["Reload: keep theirs only", "forget your change", async () => { late = null; await readProject(); emit("notice"); }],
  ]];
}

// Changes of the class table, also those that came too late.

import { inform } from "./dom.js";
import { changesSoFar, readProject, take } from "./project.js";
import { send } from "./server.js";
import { classOf, emit, hand, listed, project } from "./state.js";

let late = null; // { change, before }: the change that came too late

export const isLate = () => late !== null;

// A change is one of: add a name, change a class's name or color, move a class, choose the background, say that every
// class is named.
function changed(table, { add, change, move, ...rest }) {
  const classes = table.classes.map(({ id, name }) => (id === change?.id ? { id, name: change.name ?? name, color: change.color ?? null } : { id, name }));
  if (add && !classes.some((entry) => entry.name === add)) classes.push({ id: null, name: add });
  return { classes, background: table.background, complete: table.complete, ...(move && { order: moved(move) }), ...rest };
}

function moved({ id, by }) {
  const order = listed().map((entry) => entry.id), place = order.indexOf(id);
  if (place < 0) return order;
  order.splice(place, 1);
  order.splice(Math.min(Math.max(place + by, 0), order.length), 0, id);
  return order;
}

// One after the other: each follows from what the one before made of the table.
let last = Promise.resolve();
const pending = new Set();
export const isSavingClasses = () => pending.size > 0;
export const isAddingClass = () => [...pending].some(({ add }) => add);
export function saveClasses(change) {
  pending.add(change);
  const saved = last.then(() => saveChange(change)).finally(() => { pending.delete(change); if (!pending.size) emit("classes"); });
  last = saved.catch(() => {});
  return saved;
}

async function saveChange(change) {
  if (change.add && project.classes.some((entry) => entry.name === change.add)) inform(`“${change.add}” is a class already; it is chosen now.`);
  const since = changesSoFar();
  try {
    take(await send("/api/classes", "PUT", changed(project, change), project.version), since);
    late = null;
  } catch (error) {
    if (error.status !== 409) { emit("classes"); throw error; }
    late = { change, before: project.classes };
    await readProject();
  }
  if (change.add && !late) hand.label = project.classes.find((entry) => entry.name === change.add)?.id ?? hand.label;
  emit("classes");
  emit("notice");
  if (change.change?.color) emit("mask");
}

function said({ add, change, move, complete, background }) {
  if (add) return `add “${add}”`;
  if (change) return change.name && change.name !== change.before ? `rename “${change.before}” to “${change.name}”` : `color “${change.before}”`;
  if (move) return `move “${classOf(move.id)?.name ?? "a class that is gone"}”`;
  if (complete !== undefined) return complete ? "tick “tags are exhaustive”" : "untick “tags are exhaustive”";
  return `make ${background ? `“${classOf(background)?.name ?? "a class that is gone"}”` : "no class"} the background`;
}

export function tableNotice() {
  if (!late) return null;
  const { change, before } = late;
  const gone = [change.change?.id, change.move?.id, change.background].some((id) => id && !classOf(id));
  const names = (table) => table.map((entry) => entry.name).join(", ") || "none";
  const there = names(before) === names(project.classes) ? "The class table was" : `The classes (now: ${names(project.classes)}) were`;
  return [`${there} changed elsewhere, in another tab or by another program. Your change is not saved: ${said(change)}.${gone ? " That class is gone." : ""}`, [
    ...(gone ? [] : [["Merge: keep both", "apply your change to the classes as they are now", () => saveClasses(change)]]),
    ["Reload: keep theirs only", "forget your change", async () => { late = null; await readProject(); emit("notice"); }],
  ]];
}

// What others changed: both states are shown as numbers, and the user chooses.

import { $, arrange, attempt, complain, element } from "./dom.js";
import { adopt } from "./editing.js";
import { EMPTY, counted, missing, ofClasses, only, union } from "./hints.js";
import { open } from "./image.js";
import { lost } from "./refused.js";
import { allSaved, conflicts, followFrom, markSaved, save, settle, versions } from "./saving.js";
import { address, askJson } from "./server.js";
import { hints, imageOf, on, project, view } from "./state.js";
import { tableNotice } from "./table.js";
import { within } from "./within.js";

const notice = (text, choices) => arrange("notice", () => showChoices(text, choices));

function showChoices(text, choices) {
  $("notice").hidden = !text;
  if (!text) return;
  $("notice-text").textContent = text;
  $("notice-choices").replaceChildren(...choices.map(([name, title, action], place) =>
    element("button", { textContent: name, title, className: place || choices.length < 2 ? "" : "main", onclick: attempt(action) })));
}

function showNotice() {
  const key = view.key, conflict = conflicts.get(key), table = tableNotice();
  const known = new Set(project.classes.map((entry) => entry.id));
  if (table) return notice(...table);
  if (conflict) {
    return notice(`“${key}” was changed elsewhere, in another tab or by another program. There: ${counted(conflict.theirs)}. Here: ${counted(hints.drawn)}${deleted(hints.drawn, known)}. Nothing is lost yet.`, [
      ["Merge: keep both", "save the hints of both", () => merge(key, conflict.theirs)],
      ["Reload: keep theirs only", "drop what was drawn here since", () => reload(key, conflict.copies)],
    ]);
  }
  const copy = view.kept[0], lacking = copy && missing(within(copy.hints), hints.drawn);
  if (copy && counted(lacking) !== counted(EMPTY)) {
    const when = new Date(copy.time).toLocaleString();
    const discard = ["Discard them", "delete the copy", () => forgetCopies(key, [copy.name])];
    const add = ["Add them", "save them beside the hints shown", () => merge(key, { ...copy.hints, regions: copy.hints.regions ?? [], version: versions.get(key) }, only(hints.drawn))];
    const canAdd = counted(ofClasses(lacking, known).kept) !== counted(EMPTY);
    return notice(`Hints of “${key}” were not saved on ${when}, because it was changed elsewhere then: ${counted(lacking)}${deleted(lacking, known)}.`, canAdd ? [add, discard] : [discard]);
  }
  if (lost()) return noticeLost(...lost());
  if (key && !imageOf(key)) return notice(`“${key}” is not in the project's folder images/ any more. Its hints stay: they are there again once a file of that name is back.`, []);
  notice(null);
}
on("notice", showNotice);
on("images", () => { showNotice(); showOrphans(); });

function showOrphans() {
  const { orphans } = project, names = `${orphans.slice(0, 3).map((name) => `“${name}”`).join(", ")}${orphans.length > 3 ? ", …" : ""}`;
  $("orphans").textContent = orphans.length ? `The hints of ${names} are not used: no image has that name. Give the file its old name back.` : "";
}

function deleted(state, known) {
  const { left } = ofClasses(state, known);
  return left ? ` (${left} of classes that were deleted, which cannot be added)` : "";
}

function noticeLost(key, state) {
  notice(`“${key}” is not in the project's folder images/ any more, so its hints are not saved as they are here: ${counted(state)}. Put the file back, and it can be saved.`, [
    ["Discard what was drawn", "forget what is not saved", () => { settle(key); markSaved(); showNotice(); }],
  ]);
}

async function merge(key, other, mine = hints.drawn) {
  if (key !== view.key) return;
  const known = new Set(project.classes.map((entry) => entry.id));
  const { kept, left } = ofClasses(union(only(other), only(mine)), known);
  followFrom(key, other.version);
  view.kept = [];
  adopt(kept);
  save();
  showNotice();
  await allSaved();
  if (left) complain(new Error(`${left} hints of classes that exist no more were left out; a copy lies in studio/kept`));
}

async function reload(key, copies) {
  await forgetCopies(key, copies);
  settle(key);
  await open(key);
  markSaved();
}

async function forgetCopies(key, copies) {
  for (const name of copies.filter(Boolean)) await askJson(`${address("kept", key)}?name=${encodeURIComponent(name)}`, { method: "DELETE" });
  view.kept = view.kept.filter((copy) => !copies.includes(copy.name));
  showNotice();
}

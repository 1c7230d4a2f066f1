// Training in the background, and the poll that follows it and what other tabs save.

import { $, attempt, complain } from "./dom.js";
import { follow } from "./image.js";
import { readProject } from "./project.js";
import { allSaved, versions } from "./saving.js";
import { askJson, send } from "./server.js";
import { emit, project, view } from "./state.js";
import { isLate } from "./table.js";

let polling = null;

export function showState(state) {
  $("train").hidden = state.training;
  $("effort").hidden = state.training;
  $("stop").hidden = !state.training;
  $("progress").hidden = !state.training;
  if (state.training) {
    $("bar").value = state.total ? state.done / state.total : 0;
    const loss = state.losses?.length ? `, loss ${state.losses.at(-1).toFixed(2)}` : "";
    $("stage").textContent = `${state.stage}${state.total ? ` ${state.done} of ${state.total}` : ""}${loss}`;
  }
  if (state.error) complain(new Error(`training ended: ${state.error}`));
}

export async function poll() {
  clearTimeout(polling);
  let wait = 4000;
  try {
    const state = await askJson(`/api/state${view.key ? `?key=${encodeURIComponent(view.key)}` : ""}`);
    showState(state);
    if (state.training) wait = 1000;
    await compare(state);
  } catch { /* the next poll tries again */ }
  polling = setTimeout(poll, wait);
}

async function compare(state) {
  const ranked = JSON.stringify(state.uncertain) !== JSON.stringify(project.uncertain);
  project.uncertain = state.uncertain;
  if (ranked) { emit("images"); emit("view"); }
  if (state.model !== project.model) { Object.assign(project, { run: state.newest, model: state.model }); emit("mask"); }
  const { classes, images, hints } = state.versions;
  if (!isLate() && (classes !== project.version || images !== project.images.length)) await readProject();
  if (hints && hints !== versions.get(view.key)) await follow();
}

$("train").onclick = attempt(async () => {
  await allSaved();
  showState(await send("/api/train", "POST", { effort: $("effort").value }));
  poll();
});
$("stop").onclick = attempt(async () => showState(await askJson("/api/stop", { method: "POST" })));

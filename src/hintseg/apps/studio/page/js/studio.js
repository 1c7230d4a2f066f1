// One image at a time: draw, save at once, show the mask. Every other module has one idea; this one starts them.

import "./areas.js";
import "./classes.js";
import "./display.js";
import "./export.js";
import "./hint-list.js";
import "./import.js";
import "./keys.js";
import "./mask.js";
import "./notice.js";
import "./steps.js";
import "./uncertainty.js";
import "./upload.js";
import { $, attempt, complain, mark, pause } from "./dom.js";
import { openFirst } from "./images.js";
import { readProject } from "./project.js";
import { project } from "./state.js";
import { chooseTool } from "./tools.js";
import { poll, showState } from "./training.js";

// A table that cannot be read now may be mended.
async function begun() {
  for (;;) {
    try { await readProject(); return complain(null); } catch (error) { complain(error); }
    await pause(2000);
  }
}

attempt(async () => {
  chooseTool("scribble");
  await begun();
  $("upload").disabled = $("add").querySelector("button").disabled = false; // before that a click would send the form and lose the name
  document.title = `${project.name} · hintseg studio`;
  $("project").textContent = project.name;
  mark(project.images.some((entry) => entry.hint_types.length) ? "saved" : "nothing drawn yet");
  showState(project.state);
  try { if (project.images.length) await openFirst(); } finally { poll(); } // also where another image is chosen meanwhile
})();

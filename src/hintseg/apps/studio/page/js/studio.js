// One image at a time: draw, save at once, show the mask. Every other module has one idea; this one starts them.

import "./classes.js";
import "./export.js";
import "./keys.js";
import "./mask.js";
import "./notice.js";
import { $, attempt } from "./dom.js";
import { open } from "./image.js";
import { move } from "./images.js";
import { readProject } from "./project.js";
import { project } from "./state.js";
import { chooseTool } from "./tools.js";
import { poll, showState } from "./training.js";

$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);

attempt(async () => {
  chooseTool("scribble");
  await readProject();
  $("add").querySelector("button").disabled = false; // before that a click would send the form and lose the name
  document.title = `${project.name} · hintseg studio`;
  $("project").textContent = project.name;
  showState(project.state);
  if (project.images.length) await open(project.images[0].key);
  poll();
})();

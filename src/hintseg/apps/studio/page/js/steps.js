// What to do first, shown until there are images and classes.

import { $ } from "./dom.js";
import { on, project } from "./state.js";

function showSteps() {
  const [images, classes] = [project.images.length > 0, project.classes.length > 0];
  $("step-images").classList.toggle("done", images);
  $("step-classes").classList.toggle("done", classes);
  $("steps").hidden = images && classes;
}
on("images", showSteps);
on("classes", showSteps);

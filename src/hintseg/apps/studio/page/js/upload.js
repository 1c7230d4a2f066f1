// Images that are added to the project.

import { $, attempt, mark } from "./dom.js";
import { openFirst } from "./images.js";
import { readProject } from "./project.js";
import { markSaved } from "./saving.js";
import { ask } from "./server.js";
import { project, view } from "./state.js";

export const addImages = attempt(async (files) => {
  const refused = [];
  for (const [number, file] of files.entries()) {
    mark(`reading ${file.name} (${number + 1} of ${files.length})`);
    try {
      await ask(`/api/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
    } catch (error) { refused.push(error.message); }
  }
  markSaved();
  await readProject();
  if (!view.key && project.images.length) await openFirst();
  if (refused.length) throw new Error(refused.join(" "));
});

$("upload").onchange = async () => {
  await addImages([...$("upload").files]);
  $("upload").value = "";
};

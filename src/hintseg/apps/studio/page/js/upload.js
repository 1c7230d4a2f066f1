// Images that are added to the project, chosen or dropped on the page.

import { $, attempt, mark } from "./dom.js";
import { openFirst } from "./images.js";
import { readProject } from "./project.js";
import { markSaved } from "./saving.js";
import { ask } from "./server.js";
import { project, view } from "./state.js";

const upload = attempt(async (files) => {
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
  await upload([...$("upload").files]);
  $("upload").value = "";
};

const bringsFiles = (event) => !$("upload").disabled && !document.querySelector("dialog[open]") && event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => { if (bringsFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  upload([...event.dataTransfer.files]);
});

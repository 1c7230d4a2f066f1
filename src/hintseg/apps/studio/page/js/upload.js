// Images that are added to the project, chosen or dropped on the page.

import { $, attempt, mark } from "./dom.js";
import { openFirst } from "./images.js";
import { markSaved } from "./saving.js";
import { askJson } from "./server.js";
import { emit, project, view } from "./state.js";

const upload = attempt(async (files) => {
  const refused = [];
  for (const [number, file] of files.entries()) {
    mark(`reading ${file.name} (${number + 1} of ${files.length})`);
    try {
      const { key } = await askJson(`/api/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      project.images.push({ key, forms: [] });
    } catch (error) { refused.push(error.message); }
  }
  markSaved();
  emit("images");
  if (!view.key && project.images.length) await openFirst();
  if (refused.length) throw new Error(refused.join(" "));
});

$("upload").onchange = async () => {
  await upload([...$("upload").files]);
  $("upload").value = "";
};

const bringsFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => { if (bringsFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  upload([...event.dataTransfer.files]);
});

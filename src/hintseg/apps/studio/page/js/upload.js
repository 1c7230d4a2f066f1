// Images that are added to the project.

import { $, attempt, mark } from "./dom.js";
import { openFirst } from "./images.js";
import { markSaved } from "./saving.js";
import { askJson } from "./server.js";
import { emit, project, view } from "./state.js";

$("upload").onchange = attempt(async () => {
  const refused = [], files = [...$("upload").files];
  for (const [number, file] of files.entries()) {
    mark(`reading ${file.name} (${number + 1} of ${files.length})`);
    try {
      const { key } = await askJson(`/api/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      project.images.push({ key, forms: [] });
    } catch (error) { refused.push(error.message); }
  }
  $("upload").value = "";
  markSaved();
  emit("images");
  if (!view.key && project.images.length) await openFirst();
  if (refused.length) throw new Error(refused.join(" "));
});

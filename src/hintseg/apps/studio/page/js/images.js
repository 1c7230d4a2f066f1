// The list of images on the left, and images added to it.

import { $, attempt, element, mark } from "./dom.js";
import { open } from "./image.js";
import { address, askJson } from "./server.js";
import { emit, on, project, view } from "./state.js";

const uncertainty = (entry) => project.uncertain[entry.key]?.uncertainty ?? -1;

function ordered() {
  const images = [...project.images];
  if ($("uncertain").checked) images.sort((one, other) => uncertainty(other) - uncertainty(one));
  return images;
}

function newRow(entry) {
  const small = element("img", { loading: "lazy", alt: "", src: `${address("image", entry.key)}?side=200` });
  const button = element("button", { onclick: attempt(() => open(entry.key)) }, small, element("span", { textContent: entry.key }), element("small"));
  const row = element("li", {}, button);
  row.dataset.key = entry.key;
  return row;
}

function listImages() {
  const most = Math.max(...Object.values(project.uncertain).map((one) => one.uncertainty), 1);
  const known = new Map([...$("images").children].map((row) => [row.dataset.key, row]));
  $("images").replaceChildren(...ordered().map((entry) => {
    const row = known.get(entry.key) ?? newRow(entry), amount = uncertainty(entry);
    const bar = amount < 0 ? "" : `uncertainty ${"▮".repeat(Math.max(Math.round((5 * amount) / most), 1))}`;
    row.querySelector("small").textContent = [entry.forms.join(", ") || "no hint", bar].filter(Boolean).join(" · ");
    row.firstChild.setAttribute("aria-current", entry.key === view.key);
    return row;
  }));
}
on("images", listImages);
on("opened", () => {
  listImages();
  document.querySelector("#images [aria-current=true]")?.scrollIntoView({ block: "nearest" });
});

export function move(by) {
  const keys = ordered().map((entry) => entry.key);
  const place = keys.indexOf(view.key) + by;
  if (place >= 0 && place < keys.length) attempt(open)(keys[place]);
}

$("uncertain").onchange = () => { listImages(); emit("view"); };
$("upload").onchange = attempt(async () => {
  const refused = [];
  for (const file of $("upload").files) {
    mark(`reading ${file.name}`);
    try {
      const { key } = await askJson(`/api/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      project.images.push({ key, forms: [] });
    } catch (error) { refused.push(error.message); }
  }
  $("upload").value = "";
  mark("saved");
  listImages();
  if (!view.key && project.images.length) await open(project.images[0].key);
  if (refused.length) throw new Error(refused.join(" "));
});

// The list of images on the left: found by name and state, damaged ones marked and skipped.

import { $, attempt, element } from "./dom.js";
import { open } from "./image.js";
import { address, ask } from "./server.js";
import { emit, imageOf, on, project, view } from "./state.js";

export const uncertainty = (entry) => project.uncertain[entry.key]?.uncertainty ?? -1;
const damaged = new Map(); // key of an image that cannot be read → why
const late = new Set(); // keys of small images that did not come, as the server did not answer
let judged = 0; // when all of these were looked at again
const again = new Set(); // keys of those that are loaded once more

const STATES = {
  all: () => true,
  hinted: (entry) => entry.hint_types.some((type) => type !== "masks"),
  unhinted: (entry) => !entry.hint_types.length,
  accepted: (entry) => entry.hint_types.includes("masks"),
  open: (entry) => !entry.hint_types.includes("masks"),
};

// Those that are listed, as they are listed; an image that is open does not vanish under the hand that draws on it.
function ordered() {
  const searched = $("search").value.trim().toLowerCase(), state = STATES[$("filter").value];
  const images = project.images.filter((entry) => entry.key === view.key || (entry.key.toLowerCase().includes(searched) && state(entry)));
  if ($("uncertain").checked) images.sort((one, other) => uncertainty(other) - uncertainty(one));
  return images;
}

function newRow(entry) {
  const small = element("img", { loading: "lazy", alt: "", src: `${address("image", entry.key)}?side=200` });
  const name = element("span", { textContent: entry.key });
  const button = element("button", { onclick: attempt(() => tried(entry.key)) }, small, name, element("small"));
  small.onload = () => again.delete(entry.key);
  small.onerror = () => judge(entry.key, again.has(entry.key));
  const row = element("li", {}, button);
  row.dataset.key = entry.key;
  return row;
}

function described(entry, most) {
  if (damaged.has(entry.key)) return "damaged: cannot be read, skipped";
  const amount = uncertainty(entry);
  const bar = amount < 0 ? "" : `uncertainty ${"▮".repeat(Math.max(Math.round((5 * amount) / most), 1))}`;
  const types = entry.hint_types.map((type) => (type === "masks" ? "accepted" : type));
  return [types.join(", ") || "no hint", bar].filter(Boolean).join(" · ");
}

function listImages() {
  const most = Math.max(...Object.values(project.uncertain).map((one) => one.uncertainty), 1e-6);
  const known = new Map([...$("images").children].map((row) => [row.dataset.key, row]));
  const images = ordered(), focused = document.activeElement;
  $("images").replaceChildren(...images.map((entry) => {
    const row = known.get(entry.key) ?? newRow(entry);
    row.querySelector("small").textContent = described(entry, most);
    row.firstChild.setAttribute("aria-current", entry.key === view.key);
    row.firstChild.tabIndex = entry.key === (view.key ?? images[0].key) ? 0 : -1; // one stop of the Tab key, not hundreds
    row.firstChild.title = damaged.get(entry.key) ?? entry.key;
    row.classList.toggle("damaged", damaged.has(entry.key));
    return row;
  }));
  if ($("images").contains(focused)) focused.focus({ preventScroll: true });
  const hidden = project.images.length - images.length;
  $("listed").textContent = hidden ? `${images.length} of ${project.images.length} images are listed` : "";
}
on("images", listImages);
on("opened", () => {
  damaged.delete(view.key);
  listImages();
  document.querySelector("#images [aria-current=true]")?.scrollIntoView({ block: "nearest" });
});

on("replaced", () => {
  const { key } = view, small = smallOf(key);
  if (small) small.src = `${address("image", key)}?side=200&now=${Date.now()}`;
  judge(key);
});

$("images").onkeydown = (event) => {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const rows = [...$("images").children];
  rows[rows.indexOf(event.target.closest("li")) + by]?.firstChild.focus();
};

const smallOf = (key) => [...$("images").children].find((row) => row.dataset.key === key)?.querySelector("img");

// Whether an image itself can be shown, and if not, why.
async function judge(key, twice = false) {
  try {
    await ask(`${address("image", key)}?side=200`);
    late.delete(key);
    if (twice) damaged.set(key, "this browser cannot show it"); else damaged.delete(key);
    const small = smallOf(key);
    if (small && !twice) { again.add(key); small.src = small.getAttribute("src"); }
  } catch (error) {
    if (error.status) damaged.set(key, error.message); else late.add(key);
  }
  listImages();
}
let judging = false;
async function judgeAgain() {
  if (judging) return;
  judging = true;
  judged = Date.now();
  for (const key of [...damaged.keys(), ...late]) if (imageOf(key)) await judge(key); else { damaged.delete(key); late.delete(key); }
  judging = false;
}
on("back", judgeAgain);
on("polled", () => { if (Date.now() - judged > 15000) judgeAgain(); });

async function tried(key) {
  try { return await open(key); } catch (error) {
    if (error.status) await judge(key);
    throw error;
  }
}

// The first that can be read, in a direction. What is damaged is skipped; one other image that does not open is, too,
// and why is said once the next is open.
export async function openFrom(keys, place, by) {
  let skipped = null;
  for (; place >= 0 && place < keys.length; place += by) {
    if (damaged.has(keys[place])) continue;
    try { await tried(keys[place]); break; } catch (error) {
      const isDamaged = damaged.has(keys[place]);
      if (!error.status || (skipped && !isDamaged)) throw error;
      if (!isDamaged) skipped = error;
    }
  }
  if (skipped) throw skipped;
}

export function move(by) {
  const keys = ordered().map((entry) => entry.key);
  attempt(openFrom)(keys, keys.indexOf(view.key) + by, by);
}
export const openFirst = () => openFrom(project.images.map((entry) => entry.key), 0, 1);

$("search").oninput = $("filter").onchange = listImages;
$("uncertain").onchange = () => { listImages(); emit("view"); };
$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);

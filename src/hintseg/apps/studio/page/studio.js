"use strict";
// One photograph at a time: draw, save at once, show the mask. Every coordinate is a pixel of the photograph.

const $ = (id) => document.getElementById(id);
const project = { classes: [], images: [], background: null, complete: false, doubts: {}, run: null, model: "hints" };
const view = { key: null, width: 1, height: 1, scale: 1, x: 0, y: 0, photo: null, mask: null, outline: null };
const EMPTY = { strokes: [], points: [], boxes: [], tags: [] };
let drawn = structuredClone(EMPTY); // what the server holds, or is about to
let past = [], future = []; // of this photograph
let tool = "scribble", label = null, current = null, panning = null, spaceHeld = false;
const fingers = new Map();

// ---- server

class Refusal extends Error {
  constructor(message, status, current) { super(message); this.status = status; this.current = current; }
}

async function ask(path, options = {}) {
  const response = await fetch(path, options);
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    const detail = typeof body.detail === "string" ? body.detail : `the server answered ${response.status}`;
    throw new Refusal(detail, response.status, body.current);
  }
  return response;
}
const asJson = async (path, options) => (await ask(path, options)).json();
const send = (path, method, body, version) =>
  asJson(path, { method, headers: { "Content-Type": "application/json", ...(version && { "If-Match": version }) }, body: JSON.stringify(body) });
const address = (kind, key) => `/api/${kind}/${key.split("/").map(encodeURIComponent).join("/")}`;

function complain(error) {
  $("error").textContent = error ? error.message ?? String(error) : "";
  $("error").hidden = !error;
}
const attempt = (work) => async (...given) => {
  try { complain(null); return await work(...given); } catch (error) { if (error.name !== "AbortError") complain(error); }
};

// One request at a time of a kind that nobody needs twice: the newer one ends the older.
const running = {};
function instead(kind) {
  running[kind]?.abort();
  running[kind] = new AbortController();
  return running[kind].signal;
}

// ---- saving: the newest state of a photograph is sent until the server has it

const waiting = new Map(); // key → state still to be sent
const versions = new Map(); // key → version on disk that this page's state follows from
const sent = new Map(); // key → states that were sent, but not answered
const conflicts = new Map(); // key → { theirs, copies }: changed elsewhere
const refused = new Map(); // key → state that the server cannot take
let sending = false;

const only = ({ strokes, points, boxes, tags }) => ({ strokes, points, boxes, tags });
const plain = (hint) => JSON.stringify(hint, (name, value) => (value && !Array.isArray(value) && typeof value === "object"
  ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))) : value));
const same = (one, other) => Object.keys(EMPTY).every((form) => {
  const [mine, theirs] = [one, other].map((state) => state[form].map(plain));
  return JSON.stringify(form === "tags" ? mine.sort() : mine) === JSON.stringify(form === "tags" ? theirs.sort() : theirs);
});
function union(one, other) {
  const both = {};
  for (const form of Object.keys(EMPTY)) {
    const known = new Set(one[form].map(plain));
    both[form] = [...one[form], ...other[form].filter((hint) => !known.has(plain(hint)))];
  }
  return both;
}

function save() {
  waiting.set(view.key, structuredClone(drawn));
  mark("saving …");
  flush();
}

async function flush() {
  if (sending) return;
  sending = true;
  while (waiting.size) {
    const [key, state] = waiting.entries().next().value;
    try {
      const answer = await send(address("hints", key), "PUT", state, versions.get(key));
      versions.set(key, answer.version);
      for (const store of [sent, conflicts, refused]) store.delete(key);
      if (waiting.get(key) === state) waiting.delete(key);
      mark(waiting.size ? "saving …" : "saved");
      complain(null);
      noteForms(key, state);
      if (key === view.key && !waiting.has(key)) { showNotice(); showMask(); }
    } catch (error) {
      if (error.status === 409) await disagree(key, state, error);
      else if (error.status) { // refused: sending it again would not help; it stays in the page
        waiting.delete(key);
        refused.set(key, state);
        mark("NOT saved", true);
        complain(error);
      } else {
        sent.set(key, [...(sent.get(key) ?? []), state]);
        mark("NOT saved", true);
        complain(new Error("the server does not answer; what you drew is kept here and sent again"));
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }
  sending = false;
}

// The disk holds something else than this page has seen: its own state whose answer was lost, or somebody else's.
async function disagree(key, state, { message, current }) {
  if (sent.get(key)?.some((one) => same(one, current))) {
    versions.set(key, current.version);
    sent.delete(key);
    return;
  }
  if (waiting.get(key) === state) waiting.delete(key);
  const copies = [...(conflicts.get(key)?.copies ?? []), current.copy];
  conflicts.set(key, { theirs: current, mine: state, copies, message });
  mark("NOT saved: changed elsewhere", true);
  await readProject().catch(() => {});
  showNotice();
}

function mark(text, bad = false) {
  $("saved").textContent = text;
  $("saved").classList.toggle("bad", bad);
}
window.addEventListener("beforeunload", (event) => { if (waiting.size || conflicts.size || refused.size) event.preventDefault(); });

function noteForms(key, state) {
  const image = project.images.find((entry) => entry.key === key);
  if (!image) return;
  const forms = { scribbles: state.strokes, points: state.points, boxes: state.boxes, tags: state.tags };
  const kept = image.forms.filter((form) => !(form in forms));
  image.forms = [...Object.keys(forms).filter((form) => forms[form].length), ...kept];
  listImages();
}

// ---- what others changed: both states are shown as numbers, and the user chooses

function counted(state) {
  const names = { strokes: "stroke", points: "point", boxes: "box", tags: "ticked class" };
  const plural = (name, count) => (count === 1 ? name : /[sx]$/.test(name) ? `${name}es` : `${name}s`);
  return Object.keys(names).filter((form) => state[form].length).map((form) => `${state[form].length} ${plural(names[form], state[form].length)}`).join(", ") || "no hints";
}

function notice(text, choices) {
  $("notice").hidden = !text;
  if (!text) return;
  $("notice-text").textContent = text;
  $("notice-choices").replaceChildren(...choices.map(([name, title, action], place) => {
    const button = Object.assign(document.createElement("button"), { textContent: name, title, className: place ? "" : "main" });
    button.onclick = attempt(action);
    return button;
  }));
}

let tableConflict = null; // the change of the class table that came too late
function showNotice() {
  const key = view.key, conflict = conflicts.get(key), copies = view.kept ?? [];
  if (tableConflict) return notice(...tableNotice());
  if (conflict) {
    return notice(`“${key}” was changed elsewhere, in another tab or by another program. There: ${counted(conflict.theirs)}. Here: ${counted(drawn)}. Nothing is lost yet.`, [
      ["Merge: keep both", "save the hints of both", () => merge(key, conflict.theirs)],
      ["Reload: keep theirs only", "drop what was drawn here since", () => reload(key, conflict.copies)],
    ]);
  }
  if (copies.length) {
    const copy = copies[0], when = new Date(copy.time).toLocaleString();
    return notice(`Hints of “${key}” were not saved on ${when}, because it was changed elsewhere then: ${counted(copy.hints)}.`, [
      ["Add them", "save them beside the hints shown", () => merge(key, { ...copy.hints, version: versions.get(key) }, only(drawn))],
      ["Discard them", "delete the copy", async () => { await forgetCopies(key, [copy.name]); }],
    ]);
  }
  notice(null);
}

// Undo would take back what others drew, so that it begins anew.
function adopt(state) {
  drawn = structuredClone(only(state));
  past = []; future = [];
  refresh();
}

async function merge(key, other, mine = drawn) {
  if (key !== view.key) return;
  const known = new Set(project.classes.map((entry) => entry.id));
  const both = union(only(other), only(mine));
  let left = 0;
  const kept = (label) => known.has(label) || (left += 1, false);
  for (const form of Object.keys(EMPTY)) both[form] = both[form].filter((hint) => kept(form === "tags" ? hint : hint.label));
  versions.set(key, other.version);
  conflicts.delete(key);
  sent.delete(key);
  view.kept = [];
  adopt(both);
  save();
  showNotice();
  while (waiting.has(key)) await new Promise((resolve) => setTimeout(resolve, 50));
  if (left) complain(new Error(`${left} hints of classes that exist no more were left out; a copy lies in studio/kept`));
}

async function reload(key, copies) {
  await forgetCopies(key, copies);
  for (const store of [conflicts, waiting, sent, refused]) store.delete(key);
  await open(key);
  mark("saved");
}

async function forgetCopies(key, copies) {
  for (const name of copies.filter(Boolean)) await asJson(`${address("kept", key)}?name=${encodeURIComponent(name)}`, { method: "DELETE" });
  view.kept = (view.kept ?? []).filter((copy) => !copies.includes(copy.name));
  showNotice();
}

// ---- editing with undo

function edit(change) {
  past.push(structuredClone(drawn));
  if (past.length > 200) past.shift();
  future = [];
  change(drawn);
  save();
  refresh();
}
function step(from, to) {
  if (!from.length) return;
  to.push(drawn);
  drawn = from.pop();
  save();
  refresh();
}
const undo = () => step(past, future);
const redo = () => step(future, past);

function refresh() {
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
  listClasses();
  draw();
}

// ---- lists

const classOf = (id) => project.classes.find((entry) => entry.id === id);

function listClasses() {
  if (!classOf(label)) label = project.classes[0]?.id ?? null;
  const used = new Set([...drawn.strokes, ...drawn.points, ...drawn.boxes].map((hint) => hint.label));
  $("classes").replaceChildren(...project.classes.map((entry, index) => {
    const { id } = entry;
    const row = document.createElement("li");
    const tick = Object.assign(document.createElement("input"), {
      type: "checkbox", checked: drawn.tags.includes(id) || used.has(id), disabled: used.has(id) || !view.key,
      title: `${entry.name} is somewhere in this photograph`,
    });
    tick.setAttribute("aria-label", tick.title);
    tick.onchange = () => edit((state) => {
      state.tags = tick.checked ? [...state.tags, id] : state.tags.filter((tag) => tag !== id);
    });
    const pick = document.createElement("button");
    pick.className = "pick";
    pick.title = index < 9 ? `key ${index + 1}; double-click renames` : "double-click renames";
    pick.setAttribute("aria-pressed", id === label);
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = entry.colour;
    const name = document.createElement("b");
    name.textContent = entry.name;
    pick.append(swatch, name);
    pick.onclick = () => { label = id; listClasses(); };
    pick.ondblclick = attempt(async () => {
      const chosen = prompt("Name of this class", entry.name);
      if (chosen && chosen !== entry.name) await saveClasses({ rename: { id, name: chosen, before: entry.name } });
    });
    row.append(tick, pick);
    return row;
  }));
  const options = [new Option("none", ""), ...project.classes.map((entry) => new Option(entry.name, entry.id))];
  $("background").replaceChildren(...options);
  $("background").value = project.background ?? "";
  $("complete").checked = project.complete;
}

async function readProject() {
  Object.assign(project, await asJson("/api/project"));
  refresh();
  listImages();
}

// A change is one of: add a name, rename a class, choose the background, say that every class is named.
function changed(table, { add, rename, ...rest }) {
  const classes = table.classes.map(({ id, name }) => ({ id, name: id === rename?.id ? rename.name : name }));
  if (add && !classes.some((entry) => entry.name === add)) classes.push({ id: null, name: add });
  return { classes, background: table.background, complete: table.complete, ...rest };
}

async function saveClasses(change) {
  try {
    Object.assign(project, await send("/api/classes", "PUT", changed(project, change), project.version));
    tableConflict = null;
  } catch (error) {
    if (error.status !== 409) { refresh(); throw error; }
    tableConflict = { change, before: project.classes };
    await readProject();
  }
  if (change.add && !tableConflict) label = project.classes.find((entry) => entry.name === change.add)?.id ?? label;
  refresh();
  listImages();
  showNotice();
}

function tableNotice() {
  const { change, before } = tableConflict;
  const names = (table) => table.map((entry) => entry.name).join(", ") || "none";
  const mine = change.add ? `add “${change.add}”` : change.rename ? `rename “${change.rename.before}” to “${change.rename.name}”`
    : "complete" in change ? (change.complete ? "tick “every class named”" : "untick “every class named”")
    : `make “${classOf(change.background)?.name ?? "none"}” the background`;
  const there = names(before) === names(project.classes) ? "The class table" : `The classes (now: ${names(project.classes)})`;
  return [`${there} ${there.endsWith(")") ? "were" : "was"} changed elsewhere, in another tab or by another program. Your change is not saved: ${mine}.`, [
    ["Merge: keep both", "apply your change to the classes as they are now", () => saveClasses(change)],
    ["Reload: keep theirs only", "forget your change", async () => { tableConflict = null; await readProject(); showNotice(); }],
  ]];
}

const ordered = () => {
  const images = [...project.images];
  if ($("unsure").checked) images.sort((one, other) => (project.doubts[other.key]?.doubt ?? -1) - (project.doubts[one.key]?.doubt ?? -1));
  return images;
};

function listImages() {
  const most = Math.max(...Object.values(project.doubts).map((one) => one.doubt), 1);
  const known = new Map([...$("images").children].map((row) => [row.dataset.key, row]));
  $("images").replaceChildren(...ordered().map((entry) => {
    let row = known.get(entry.key);
    if (!row) {
      row = document.createElement("li");
      row.dataset.key = entry.key;
      const button = document.createElement("button");
      const picture = Object.assign(document.createElement("img"), { loading: "lazy", alt: "", src: `${address("image", entry.key)}?side=200` });
      const name = document.createElement("span");
      name.textContent = entry.key;
      button.append(picture, name, document.createElement("small"));
      button.onclick = attempt(() => open(entry.key));
      row.append(button);
    }
    const doubt = project.doubts[entry.key];
    row.querySelector("small").textContent = [entry.forms.join(", ") || "no hint", doubt ? `doubt ${"▮".repeat(Math.max(Math.round((5 * doubt.doubt) / most), 1))}` : ""].filter(Boolean).join(" · ");
    row.firstChild.setAttribute("aria-current", entry.key === view.key);
    return row;
  }));
}

// ---- one photograph

async function picture(source, signal) {
  const answer = await ask(source, { signal });
  try { return await createImageBitmap(await answer.blob()); } catch { throw new Error("this photograph cannot be shown; hintseg check says why"); }
}

// A photograph is on the page only when all of it was read: what failed to load is never taken for "no hints".
async function open(key) {
  const signal = instead("open");
  running.mask?.abort();
  let found, before;
  do { // until no save came between
    before = versions.get(key);
    found = await asJson(address("hints", key), { signal });
  } while (before !== versions.get(key));
  const photo = await picture(address("image", key), signal);
  const raster = found.raster ? await picture(address("raster", key), signal) : null;
  if (signal.aborted) return;
  const mine = waiting.get(key) ?? conflicts.get(key)?.mine ?? refused.get(key);
  if (!mine && before === versions.get(key)) versions.set(key, found.version);
  else if (!mine) return open(key);
  Object.assign(view, { key, raster, width: found.width, height: found.height, photo, mask: null, tag: null, outline: null, accepted: found.accepted, kept: mine ? [] : found.kept });
  drawn = structuredClone(only(mine ?? found));
  past = []; future = []; current = null;
  $("empty").hidden = true;
  $("neighbours").hidden = true;
  fit();
  listImages();
  document.querySelector("#images [aria-current=true]")?.scrollIntoView({ block: "nearest" });
  refresh();
  showNotice();
  showMask();
}

// What others saved on the photograph that is open, while nothing of this page waits.
async function follow() {
  const key = view.key, before = versions.get(key);
  const found = await asJson(address("hints", key));
  if (key !== view.key || before !== versions.get(key) || current || waiting.size || conflicts.has(key) || refused.has(key) || sending) return;
  Object.assign(view, { accepted: found.accepted, kept: found.kept });
  if (found.version !== versions.get(key)) {
    versions.set(key, found.version);
    adopt(found);
    mark("shown as changed elsewhere");
  }
  showNotice();
  showMask();
}

function move(by) {
  const keys = ordered().map((entry) => entry.key);
  const place = keys.indexOf(view.key) + by;
  if (place >= 0 && place < keys.length) attempt(open)(keys[place]);
}

async function showMask() {
  const key = view.key, signal = instead("mask");
  $("accept").textContent = view.accepted ? "Withdraw mask" : "Accept mask";
  if (!key || !$("show").checked) { view.mask = null; $("source").textContent = ""; return draw(); }
  const here = view.raster || drawn.strokes.length || drawn.points.length || drawn.boxes.length;
  const anywhere = here || project.images.some((entry) => entry.forms.some((form) => form !== "tags"));
  const source = view.accepted ? "accepted" : project.run || (project.model === "hints" ? here : anywhere) ? "model" : null;
  if (!source) { view.mask = null; $("source").textContent = "no mask yet"; return draw(); }
  if (!view.mask) $("source").textContent = "finding the mask …";
  try {
    const answer = await ask(`${address("mask", key)}?source=${source}`, { signal });
    const mask = await createImageBitmap(await answer.blob());
    if (signal.aborted || key !== view.key) return;
    Object.assign(view, { mask, tag: answer.headers.get("ETag") });
    const models = { instant: "learned from all hints", hints: "from this photograph's hints alone" };
    $("source").textContent = source === "accepted" ? "accepted mask" : models[project.model] ?? `mask of ${project.model}`;
  } catch (error) {
    if (signal.aborted) return;
    view.mask = null;
    $("source").textContent = error.message;
  }
  draw();
}

// ---- drawing

const canvas = $("canvas");
const pen = canvas.getContext("2d");
const colour = (id) => classOf(id)?.colour ?? "#888";

function fit() {
  const { clientWidth: w, clientHeight: h } = canvas;
  view.scale = Math.min(w / view.width, h / view.height) * 0.97;
  view.x = (w - view.width * view.scale) / 2;
  view.y = (h - view.height * view.scale) / 2;
  draw();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 40);
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  draw();
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  if (!view.photo) return;
  pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  pen.imageSmoothingEnabled = view.scale < 3;
  pen.drawImage(view.photo, 0, 0, view.width, view.height);
  if (view.mask && $("show").checked) {
    pen.globalAlpha = $("opacity").value / 100;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(view.mask, 0, 0, view.width, view.height);
    pen.globalAlpha = 1;
  }
  if ($("hints").checked) paintHints(current ? withCurrent() : drawn);
  if (view.outline) paintOutline();
  const doubt = project.doubts[view.key];
  if (doubt && $("unsure").checked) paintDoubt(doubt);
}

function withCurrent() {
  const kind = { scribble: "strokes", box: "boxes" }[current.kind];
  return { ...drawn, [kind]: [...drawn[kind], current.hint] };
}

function path(vertices) {
  pen.beginPath();
  vertices.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (vertices.length === 1) pen.lineTo(vertices[0][0] + 0.01, vertices[0][1]);
}

function paintHints(state) {
  pen.imageSmoothingEnabled = false;
  if (view.raster) pen.drawImage(view.raster, 0, 0, view.width, view.height);
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of state.strokes) {
    path(stroke.vertices.map(([x, y]) => [x + 0.5, y + 0.5]));
    pen.lineWidth = stroke.width + 2 / view.scale; pen.strokeStyle = "#fff"; pen.stroke();
    pen.lineWidth = stroke.width; pen.strokeStyle = colour(stroke.label); pen.stroke();
  }
  pen.lineWidth = 2 / view.scale;
  for (const box of state.boxes) {
    pen.strokeStyle = "#fff"; pen.lineWidth = 4 / view.scale; pen.strokeRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
    pen.strokeStyle = colour(box.label); pen.lineWidth = 2 / view.scale; pen.strokeRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
  }
  for (const point of state.points) {
    pen.beginPath(); pen.arc(point.x + 0.5, point.y + 0.5, 6 / view.scale, 0, 7);
    pen.fillStyle = colour(point.label); pen.fill();
    pen.strokeStyle = "#fff"; pen.lineWidth = 2 / view.scale; pen.stroke();
  }
}

function paintOutline() {
  for (const part of view.outline) {
    path([...part, part[0]]);
    pen.strokeStyle = "#000"; pen.lineWidth = 4 / view.scale; pen.stroke();
    pen.strokeStyle = "#f0e442"; pen.lineWidth = 2 / view.scale; pen.stroke();
  }
}

function paintDoubt({ x, y }) {
  pen.lineWidth = 3 / view.scale; pen.strokeStyle = "#fff";
  pen.beginPath(); pen.arc(x, y, 14 / view.scale, 0, 7); pen.stroke();
  pen.setLineDash([5 / view.scale, 4 / view.scale]); pen.strokeStyle = "#000"; pen.stroke(); pen.setLineDash([]);
}

// ---- pointer

const inside = ([x, y]) => [Math.min(Math.max(x, 0), view.width - 1), Math.min(Math.max(y, 0), view.height - 1)];
function pixel(event) {
  const area = canvas.getBoundingClientRect();
  return [(event.clientX - area.left - view.x) / view.scale, (event.clientY - area.top - view.y) / view.scale];
}
const within = ([x, y]) => x >= 0 && y >= 0 && x < view.width && y < view.height;
const grid = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];

canvas.addEventListener("pointerdown", (event) => {
  if (!view.key) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) { current = null; panning = null; return draw(); } // two fingers move and zoom
  if (spaceHeld || event.button === 1) { panning = { x: event.clientX - view.x, y: event.clientY - view.y }; return; }
  if (event.button !== 0) return;
  const at = pixel(event);
  if (tool === "erase") return erase(at);
  if (tool === "look") { if (within(at)) attempt(look)(at); return; }
  if (!project.classes.length) return complain("name a class first, on the right");
  if (!within(at) && tool !== "box") return;
  const [x, y] = grid(inside(at));
  if (tool === "point") edit((state) => state.points.push({ label, x: Math.floor(x), y: Math.floor(y) }));
  if (tool === "scribble") current = { kind: "scribble", hint: { label, vertices: [[x, y]], width: +$("brush").value } };
  if (tool === "box") current = { kind: "box", from: inside(at), hint: { label, x0: x, y0: y, x1: x, y1: y } };
  draw();
});

canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (fingers.size === 2 && before) {
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const area = canvas.getBoundingClientRect();
    const middle = [(event.clientX + other.clientX) / 2 - area.left, (event.clientY + other.clientY) / 2 - area.top];
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
    view.x += (event.clientX - before.clientX) / 2; view.y += (event.clientY - before.clientY) / 2;
    fingers.set(event.pointerId, event);
    return zoom(apart(event) / apart(before), ...middle);
  }
  if (before) fingers.set(event.pointerId, event);
  if (panning) { view.x = event.clientX - panning.x; view.y = event.clientY - panning.y; return draw(); }
  if (!current) return;
  const [x, y] = grid(inside(pixel(event)));
  if (current.kind === "scribble") {
    const last = current.hint.vertices.at(-1);
    if (Math.hypot(last[0] - x, last[1] - y) >= Math.max(1, 2 / view.scale)) current.hint.vertices.push([x, y]);
  } else {
    const [fx, fy] = current.from;
    Object.assign(current.hint, {
      x0: Math.floor(Math.min(fx, x)), y0: Math.floor(Math.min(fy, y)), x1: Math.ceil(Math.max(fx, x)) + 1, y1: Math.ceil(Math.max(fy, y)) + 1,
    });
    current.hint.x1 = Math.min(current.hint.x1, view.width);
    current.hint.y1 = Math.min(current.hint.y1, view.height);
  }
  draw();
});

function finish(event) {
  fingers.delete(event.pointerId);
  panning = null;
  const done = current;
  current = null;
  if (!done) return;
  if (done.kind === "scribble") edit((state) => state.strokes.push(done.hint));
  else if (done.hint.x1 - done.hint.x0 > 3 && done.hint.y1 - done.hint.y0 > 3) edit((state) => state.boxes.push(done.hint));
  else draw();
}
canvas.addEventListener("pointerup", finish);
canvas.addEventListener("pointercancel", (event) => { fingers.delete(event.pointerId); current = null; panning = null; draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const area = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - area.left, event.clientY - area.top);
}, { passive: false });

function erase([x, y]) {
  const reach = 8 / view.scale;
  const toSegment = ([ax, ay], [bx, by]) => {
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const share = length ? Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1) : 0;
    return Math.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay));
  };
  const near = (stroke) => Math.min(...stroke.vertices.map((vertex, index) => toSegment(stroke.vertices[Math.max(index - 1, 0)], vertex))) < reach + stroke.width / 2;
  const point = drawn.points.findLastIndex((one) => Math.hypot(one.x - x, one.y - y) < reach + 4 / view.scale);
  if (point >= 0) return edit((state) => state.points.splice(point, 1));
  const stroke = drawn.strokes.findLastIndex(near);
  if (stroke >= 0) return edit((state) => state.strokes.splice(stroke, 1));
  const edge = (box) => x > box.x0 - reach && x < box.x1 + reach && y > box.y0 - reach && y < box.y1 + reach
    && !(x > box.x0 + reach && x < box.x1 - reach && y > box.y0 + reach && y < box.y1 - reach);
  const box = drawn.boxes.findLastIndex(edge);
  if (box >= 0) edit((state) => state.boxes.splice(box, 1));
}

async function look([x, y]) {
  const key = view.key, signal = instead("look");
  const found = await asJson(`${address("nearest", key)}?x=${x}&y=${y}`, { signal });
  if (key !== view.key) return;
  view.outline = found.outline;
  draw();
  const strip = $("neighbours");
  strip.hidden = false;
  strip.replaceChildren(...found.neighbours.map((one) => {
    const figure = document.createElement("figure");
    const small = Object.assign(document.createElement("canvas"), { width: 220, height: 160 });
    const caption = document.createElement("figcaption");
    caption.textContent = `${classOf(one.label)?.name ?? "?"} · ${one.similarity.toFixed(2)} · ${one.key}`;
    figure.append(small, caption);
    figure.onclick = attempt(() => open(one.key));
    picture(`${address("image", one.key)}?side=512`, signal).then((photo) => {
      const [x0, y0, x1, y1] = one.box;
      const [bx, by, bw, bh] = [x0 * photo.width, y0 * photo.height, (x1 - x0) * photo.width, (y1 - y0) * photo.height];
      const scale = Math.min(220 / (bw * 1.6), 160 / (bh * 1.6), 6);
      const [ox, oy] = [bx + bw / 2 - 110 / scale, by + bh / 2 - 80 / scale];
      const brush = small.getContext("2d");
      brush.drawImage(photo, -ox * scale, -oy * scale, photo.width * scale, photo.height * scale);
      brush.strokeStyle = colour(one.label); brush.lineWidth = 4;
      brush.strokeRect((bx - ox) * scale, (by - oy) * scale, bw * scale, bh * scale);
    }).catch(() => {});
    return figure;
  }));
  canvas.getBoundingClientRect();
  draw();
}

// ---- training

let polling = null;
function showState(state) {
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

async function poll() {
  clearTimeout(polling);
  let wait = 4000;
  try {
    const state = await asJson(`/api/state${view.key ? `?key=${encodeURIComponent(view.key)}` : ""}`);
    showState(state);
    if (state.training) wait = 1000;
    const ranked = JSON.stringify(state.doubts) !== JSON.stringify(project.doubts);
    project.doubts = state.doubts;
    if (ranked) { listImages(); draw(); }
    if (state.model !== project.model) { Object.assign(project, { run: state.newest, model: state.model }); showMask(); }
    const { classes, images, hints } = state.versions;
    if (!tableConflict && (classes !== project.version || images !== project.images.length)) await readProject();
    if (hints && hints !== versions.get(view.key)) await follow();
  } catch { /* the next poll tries again */ }
  polling = setTimeout(poll, wait);
}

// ---- buttons and keys

const chooseTool = (name) => {
  tool = name;
  document.querySelectorAll("[data-tool]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.tool === name));
  if (name !== "look") { view.outline = null; $("neighbours").hidden = true; draw(); }
};
document.querySelectorAll("[data-tool]").forEach((button) => { button.onclick = () => chooseTool(button.dataset.tool); });
$("brush").oninput = () => { $("width").textContent = $("brush").value; };
$("undo").onclick = undo;
$("redo").onclick = redo;
$("in").onclick = () => zoom(1.3);
$("out").onclick = () => zoom(1 / 1.3);
$("fit").onclick = fit;
$("show").onchange = showMask;
$("hints").onchange = $("opacity").oninput = draw;
$("unsure").onchange = () => { listImages(); draw(); };
$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);
$("help").onclick = () => $("keys").showModal();
$("accept").onclick = attempt(async () => {
  const { key, tag } = view;
  if (!key) return;
  if (!tag) throw new Error("show the mask first, then accept it");
  let answer;
  try {
    answer = await asJson(address("accept", key), { method: view.accepted ? "DELETE" : "POST", headers: { "If-Match": tag } });
  } catch (error) {
    if (error.status !== 409) throw error;
    await follow();
    throw new Error("this mask has changed since it was shown; the new one is shown now: look at it, then decide again");
  }
  const image = project.images.find((entry) => entry.key === key);
  if (key === view.key) view.accepted = answer.accepted;
  image.forms = answer.accepted ? [...new Set([...image.forms, "masks"])] : image.forms.filter((form) => form !== "masks");
  listImages();
  showMask();
});
$("train").onclick = attempt(async () => {
  while (waiting.size) await new Promise((resolve) => setTimeout(resolve, 50));
  showState(await send("/api/train", "POST", { effort: $("effort").value }));
  poll();
});
$("stop").onclick = attempt(async () => showState(await send("/api/stop", "POST", {})));
$("export").onclick = attempt(async () => {
  const answer = await ask(`/api/export?form=${$("format").value}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `masks-${$("format").value}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
$("add").onsubmit = attempt(async (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return;
  $("name").value = "";
  try { await saveClasses({ add: name }); } catch (error) { $("name").value = name; throw error; }
});
$("background").onchange = attempt(async () => {
  const chosen = $("background").value;
  await saveClasses({ background: chosen === "" ? null : chosen });
});
$("complete").onchange = attempt(() => saveClasses({ complete: $("complete").checked }));
$("upload").onchange = attempt(async () => {
  const refused = [];
  for (const file of $("upload").files) {
    mark(`reading ${file.name}`);
    try {
      const { key } = await asJson(`/api/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      project.images.push({ key, forms: [] });
    } catch (error) { refused.push(error.message); }
  }
  $("upload").value = "";
  mark("saved");
  listImages();
  if (!view.key && project.images.length) await open(project.images[0].key);
  if (refused.length) throw new Error(refused.join(" "));
});

document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && !["checkbox", "range"].includes(event.target.type)) return;
  if ($("keys").open) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") { event.preventDefault(); return event.shiftKey ? redo() : undo(); }
    if (key === "y") { event.preventDefault(); redo(); }
    return;
  }
  const brush = (by) => { $("brush").value = +$("brush").value + by; $("brush").oninput(); };
  const actions = {
    s: () => chooseTool("scribble"), p: () => chooseTool("point"), b: () => chooseTool("box"), e: () => chooseTool("erase"), l: () => chooseTool("look"),
    "[": () => brush(-2), "]": () => brush(2), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: fit,
    arrowleft: () => move(-1), arrowright: () => move(1), m: () => $("show").click(), h: () => $("hints").click(), a: () => $("accept").click(),
    "?": () => $("keys").showModal(), escape: () => { current = null; draw(); }, " ": () => { spaceHeld = true; },
  };
  if (/^[1-9]$/.test(key) && +key <= project.classes.length) { label = project.classes[+key - 1].id; return listClasses(); }
  if (key in actions) { if (event.target.tagName !== "BUTTON" || key !== " ") event.preventDefault(); actions[key](); }
});
document.addEventListener("keyup", (event) => { if (event.key === " ") spaceHeld = false; });
new ResizeObserver(() => (view.photo ? fit() : draw())).observe(canvas);

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

// Requests to the server, and the newer one that ends the older.

import { project } from "./state.js";

const PATIENCE = 20000; // milliseconds for an answer that needs no computing

class Refusal extends Error {
  constructor(message, status, current, tag) { super(message); Object.assign(this, { status, current, tag }); }
}

const noAnswer = () => Object.assign(new Error("the server does not answer"), { away: true });

// Another server may have taken the address: it refuses what is meant for another folder than its own.
const ours = (options) => ({ ...options, headers: { ...options.headers, ...(project.folder && { "Hintseg-Folder": project.folder }) } });

export async function ask(path, options = {}) {
  const response = await fetch(path, ours(options)).catch((error) => {
    throw error.name === "AbortError" ? error : noAnswer(); // browsers word it each its own way
  });
  if (response.status === 412) {
    throw Object.assign(new Error(`this address serves another folder now, not “${project.name}”: start the studio for “${project.name}” again`), { away: true, isOther: true });
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    const detail = typeof body.detail === "string" ? body.detail : `the server answered ${response.status}`;
    throw new Refusal(detail, response.status, body.current, response.headers.get("ETag"));
  }
  return response;
}
export const askJson = async (path, options) => (await ask(path, options)).json();
export const send = (path, method, body, version, more = {}, how = askJson) =>
  how(path, { method, headers: { "Content-Type": "application/json", ...(version && { "If-Match": version }), ...more }, body: JSON.stringify(body) });

// What the server answers at once; one that hangs counts as away.
export function soon(path, options = {}) {
  const given = options.signal, late = new AbortController();
  const patience = options.body ? 2 * PATIENCE + options.body.length / 32 : PATIENCE; // more than the server has for a body
  const timer = setTimeout(() => late.abort(new DOMException("late", "TimeoutError")), patience);
  if (given?.aborted) late.abort(given.reason);
  given?.addEventListener("abort", () => late.abort(given.reason));
  return askJson(path, { ...options, signal: late.signal })
    .catch((error) => { throw error.name === "TimeoutError" ? noAnswer() : error; })
    .finally(() => clearTimeout(timer));
}
export const address = (kind, key) => `/api/${kind}/${key.split("/").map(encodeURIComponent).join("/")}`;

export async function bitmap(source, signal) {
  const answer = await ask(source, { signal });
  try { return await createImageBitmap(await answer.blob()); } catch { throw new Error("this image cannot be shown; hintseg check says why"); }
}

// One request at a time of a kind that nobody needs twice.
const running = {};
export function instead(kind) {
  running[kind]?.abort();
  running[kind] = new AbortController();
  return running[kind].signal;
}

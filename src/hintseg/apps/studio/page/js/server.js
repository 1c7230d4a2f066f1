// Requests to the server, and the newer one that ends the older.

class Refusal extends Error {
  constructor(message, status, current) { super(message); this.status = status; this.current = current; }
}

export async function ask(path, options = {}) {
  const response = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : Object.assign(new Error("the server does not answer"), { away: true }); // browsers word it each its own way
  });
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    const detail = typeof body.detail === "string" ? body.detail : `the server answered ${response.status}`;
    throw new Refusal(detail, response.status, body.current);
  }
  return response;
}
export const askJson = async (path, options) => (await ask(path, options)).json();
export const send = (path, method, body, version) =>
  askJson(path, { method, headers: { "Content-Type": "application/json", ...(version && { "If-Match": version }) }, body: JSON.stringify(body) });
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

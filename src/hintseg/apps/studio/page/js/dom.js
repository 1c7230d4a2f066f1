// Elements of the page, and the one line that says what went wrong.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// What comes or goes above the image would move it under the pen: it waits until nothing is pressed.
const late = new Map(); // by the part of the page
let pressed = false;

export function arrange(part, change) {
  if (pressed) late.set(part, change); else change();
}

export function press(is) {
  pressed = is;
  if (is) return;
  const changes = [...late.values()];
  late.clear();
  for (const change of changes) change();
}

let lasting = null; // an error that goes when what it is about is mended, which its `stays` tells, or when somebody closes it

export function complain(error) {
  if (error?.stays) lasting = error;
  arrange("error", () => {
    const said = error ?? (lasting?.stays() ? lasting : null);
    $("error-text").textContent = said ? said.message ?? String(said) : "";
    $("error").hidden = !said;
    $("error").dataset.away = said?.away ? "away" : "";
  });
}
$("error-close").onclick = () => { lasting = null; complain(null); };

// What is good to know, until somebody closes it; of one image: also until another one is opened; about something: also
// until that is outdated.
export function inform(text, key = "", about = "") {
  arrange("info", () => {
    $("info-text").textContent = text;
    Object.assign($("info").dataset, { key, about });
    $("info").hidden = !text;
  });
}
export const outdate = (about) => arrange(`outdated: ${about}`, () => { if ($("info").dataset.about === about) inform(""); });
$("info-close").onclick = () => inform("");

// The same function; what it throws is shown.
export const attempt = (work) => async (...given) => {
  try { complain(null); return await work(...given); } catch (error) { if (error.name !== "AbortError") complain(error); }
};

export function mark(text, bad = false) {
  $("saved").textContent = text;
  $("saved").classList.toggle("bad", bad);
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

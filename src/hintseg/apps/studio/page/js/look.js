// The training segments nearest to a clicked one.

import { $, attempt, element } from "./dom.js";
import { open } from "./image.js";
import { address, askJson, bitmap, instead } from "./server.js";
import { classOf, color, emit, on, view } from "./state.js";

let shownFor = null; // the image whose segment is outlined, or is about to be

function paintNeighbor(small, photo, one) {
  const [x0, y0, x1, y1] = one.box;
  const [bx, by, bw, bh] = [x0 * photo.width, y0 * photo.height, (x1 - x0) * photo.width, (y1 - y0) * photo.height];
  const scale = Math.min(220 / (bw * 1.6), 160 / (bh * 1.6), 6);
  const [ox, oy] = [bx + bw / 2 - 110 / scale, by + bh / 2 - 80 / scale];
  const pen = small.getContext("2d");
  pen.drawImage(photo, -ox * scale, -oy * scale, photo.width * scale, photo.height * scale);
  pen.strokeStyle = color(one.label); pen.lineWidth = 4;
  pen.strokeRect((bx - ox) * scale, (by - oy) * scale, bw * scale, bh * scale);
}

export async function look([x, y]) {
  const key = view.key, signal = instead("look");
  shownFor = key;
  const found = await askJson(`${address("nearest", key)}?x=${x}&y=${y}`, { signal });
  if (key !== view.key) return;
  view.outline = found.outline;
  emit("view");
  $("neighbors").hidden = false;
  $("neighbors").replaceChildren(...found.neighbors.map((one) => {
    const small = element("canvas", { width: 220, height: 160 });
    const text = `${classOf(one.label)?.name ?? "?"} · ${one.similarity.toFixed(2)} · ${one.key}`;
    bitmap(`${address("image", one.key)}?side=512`, signal).then((photo) => paintNeighbor(small, photo, one)).catch(() => {});
    return element("button", { onclick: attempt(() => open(one.key)) }, small, element("span", { textContent: text }));
  }));
}

export function endLook() {
  instead("look"); // an answer that comes late would show them again
  view.outline = null;
  $("neighbors").hidden = true;
  emit("view");
}

// An image that is read again keeps the segments that are shown.
on("opened", () => { if (view.key !== shownFor) endLook(); });

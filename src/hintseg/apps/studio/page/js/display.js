// How the image is shown: brightness, contrast, one channel. Nothing of it reaches the hints or the model.

import { $, attempt } from "./dom.js";
import { address, askJson, bitmap, instead } from "./server.js";
import { emit, on, view } from "./state.js";

let channel = null; // the picture of the chosen channel; null: all

// Samples as they are shown: contrast turns the line about the middle, brightness lifts it.
function lookup() {
  const steep = 4 ** ($("contrast").value / 100), lift = 1.28 * $("brightness").value;
  return Uint8ClampedArray.from({ length: 256 }, (_, sample) => (sample - 127.5) * steep + 127.5 + lift);
}

function show() {
  view.displayed = channel;
  if (view.photo && (+$("brightness").value || +$("contrast").value)) {
    const source = channel ?? view.photo, picture = new OffscreenCanvas(source.width, source.height), pen = picture.getContext("2d");
    pen.drawImage(source, 0, 0);
    const pixels = pen.getImageData(0, 0, picture.width, picture.height), { data } = pixels, table = lookup();
    for (let at = 0; at < data.length; at += 1) if (at % 4 !== 3) data[at] = table[data[at]];
    pen.putImageData(pixels, 0, 0);
    view.displayed = picture;
  }
  emit("view");
}

// The channels of the open image; the chosen one stays chosen where there is one of its number.
const listChannels = attempt(async () => {
  channel = null;
  const signal = instead("channels");
  instead("channel"); // a picture that comes late is of another image
  show();
  if (!$("display").open || !view.key) return;
  const { count } = await askJson(address("channels", view.key), { signal });
  const chosen = $("channel").value;
  $("channel").replaceChildren(new Option("all", ""), ...Array.from({ length: count }, (_, number) => new Option(number + 1, number)));
  $("channel").value = chosen !== "" && +chosen < count ? chosen : "";
  await showChannel();
});

async function showChannel() {
  const signal = instead("channel"), number = $("channel").value;
  const found = number === "" ? null : await bitmap(`${address("image", view.key)}?channel=${number}`, signal);
  if (signal.aborted) return;
  channel = found;
  show();
}

on("opened", listChannels);
$("display").ontoggle = listChannels;
$("channel").onchange = attempt(showChannel);
$("brightness").oninput = $("contrast").oninput = show;
$("plain").onclick = () => {
  $("brightness").value = $("contrast").value = 0;
  $("channel").value = "";
  attempt(showChannel)();
};

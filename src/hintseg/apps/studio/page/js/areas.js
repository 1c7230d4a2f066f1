// How much of each image each class covers: a table, and the same as a CSV file. One image is measured after the other,
// so that it is seen how far it is and can be stopped.

import { $, element } from "./dom.js";
import { origin } from "./mask.js";
import { allSaved } from "./saving.js";
import { address, askJson, instead } from "./server.js";
import { project } from "./state.js";

let rows = []; // { image, class_name, pixels, percent, square_metres, origin }

const number = (value, digits) => (value === null ? "" : value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }));

async function measureAll() {
  const signal = instead("areas");
  rows = [];
  showTable();
  $("areas-save").disabled = true;
  $("areas-bar").value = 0;
  $("areas-note").textContent = "saving what was drawn …";
  try {
    await allSaved();
    if (!signal.aborted) await measure(signal);
  } catch (error) {
    if (!signal.aborted) $("areas-note").textContent = error.message; // the page's own line lies behind the dialog
  } finally {
    if (!signal.aborted) $("areas-save").disabled = !rows.length;
  }
}

async function measure(signal) {
  const keys = project.images.map((entry) => entry.key), left = [];
  for (const [done, key] of keys.entries()) {
    $("areas-bar").value = done / keys.length;
    $("areas-note").textContent = `measuring ${done + 1} of ${keys.length}: ${key}`;
    try {
      const found = await askJson(address("areas", key), { signal });
      if (signal.aborted) return;
      rows.push(...found.areas.map((area) => ({ ...area, origin: origin(found.accepted ? "accepted" : "model", found.model) })));
      showTable();
    } catch (error) {
      if (signal.aborted) return;
      if (!error.status) throw error;
      left.push(`${key}: ${error.message}`);
    }
  }
  $("areas-bar").value = 1;
  $("areas-note").textContent = left.length ? `${keys.length - left.length} of ${keys.length} images measured. Left out: ${left.slice(0, 3).join(" ")}${left.length > 3 ? " …" : ""}` : `${keys.length} images measured`;
}

function showTable() {
  const scaled = rows.some((row) => row.square_metres !== null);
  const heads = ["image", "class", "pixels", "percent", ...(scaled ? ["m²"] : []), "mask"];
  const cells = (row) => [row.image, row.class_name, number(row.pixels, 0), number(row.percent, 2), ...(scaled ? [number(row.square_metres, 2)] : []), row.origin];
  $("areas-table").replaceChildren(
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { textContent: text, scope: "col" })))),
    element("tbody", {}, ...rows.filter((row) => row.pixels).map((row) => element("tr", {}, ...cells(row).map((text) => element("td", { textContent: text }))))),
  );
}

// The same columns as `hintseg measure`.
function asText() {
  const quoted = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value ?? "");
  const names = ["image", "class_name", "pixels", "percent", "square_metres"];
  return ["image,class,pixels,percent,square_metres", ...rows.map((row) => names.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
}

$("areas").onclick = () => {
  $("areas-dialog").showModal();
  measureAll();
};
$("areas-save").onclick = () => {
  const link = element("a", { href: URL.createObjectURL(new Blob([asText()], { type: "text/csv" })), download: "areas.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
$("areas-dialog").onclose = () => instead("areas");
$("areas-close").onclick = () => $("areas-dialog").close();

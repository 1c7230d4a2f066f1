// Masks in the format of another tool, as a download, with how far it is and what was left out.

import { $, attempt, element, inform, pause } from "./dom.js";
import { plural } from "./hints.js";
import { allSaved, leftOut } from "./saving.js";
import { ask, askJson } from "./server.js";

let running = false;

const STAGES = { masks: "finding masks, image", writing: "writing, image", packing: "packing, file" };

// Time that is left is told of masks alone, which take the longest by far; those that were found before are quick.
async function follow() {
  let from = null; // { at, done } when the first mask was being found
  while (running) {
    const { stage, done, total } = await askJson("/api/exporting").catch(() => ({ total: 0 }));
    if (stage === "masks") from ??= { at: Date.now(), done };
    const share = from && stage === "masks" && done > from.done ? (Date.now() - from.at) / (done - from.done) : 0;
    const left = share ? `, about ${Math.ceil((share * (total - done)) / 1000)} s left` : "";
    if (running) inform(total ? `Exporting: ${STAGES[stage] ?? "image"} ${done + 1} of ${total}${left}` : "Exporting …");
    await pause(700);
  }
}

$("export").onclick = attempt(async () => {
  $("export").disabled = true;
  try {
    await allSaved();
    running = true;
    follow();
    const writer = $("format").value;
    const answer = await ask(`/api/export?writer=${writer}&images=${$("with-images").checked}`);
    const name = `masks-${writer}.zip`;
    const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    const left = +answer.headers.get("Left-Out");
    running = false;
    inform(`Exported: the browser saves ${name}.${left ? ` ${left} ${plural("image", left)} could not be exported; left-out.txt in the archive says why.` : ""}${leftOut().length ? ` What is not saved of ${leftOut().join(", ")} is not in it.` : ""}`);
  } catch (error) {
    running = false;
    inform("");
    throw error;
  } finally {
    $("export").disabled = false;
  }
});

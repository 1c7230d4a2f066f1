// Masks in the format of another tool, as a download, with how far it is and what was left out.

import { $, attempt, element, inform, pause } from "./dom.js";
import { plural } from "./hints.js";
import { allSaved } from "./saving.js";
import { ask, askJson } from "./server.js";

let running = false;

async function follow(started) {
  while (running) {
    const { done, total } = await askJson("/api/exporting").catch(() => ({ done: 0, total: 0 }));
    const left = done > 1 ? `, about ${Math.ceil(((Date.now() - started) / done) * (total - done) / 1000)} s left` : "";
    if (running) inform(total ? `Exporting: image ${done + 1} of ${total}${left}` : "Exporting …");
    await pause(700);
  }
}

$("export").onclick = attempt(async () => {
  $("export").disabled = true;
  try {
    await allSaved();
    running = true;
    follow(Date.now());
    const answer = await ask(`/api/export?form=${$("format").value}`);
    const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: `masks-${$("format").value}.zip` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    const left = +answer.headers.get("Left-Out");
    running = false;
    inform(left ? `Exported. ${left} ${plural("image", left)} could not be; left-out.txt in the archive says why.` : "");
  } catch (error) {
    running = false;
    inform("");
    throw error;
  } finally {
    $("export").disabled = false;
  }
});

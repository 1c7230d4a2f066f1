// Masks in the format of another tool, as a download.

import { $, attempt, element } from "./dom.js";
import { ask } from "./server.js";

$("export").onclick = attempt(async () => {
  const answer = await ask(`/api/export?form=${$("format").value}`);
  const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: `masks-${$("format").value}.zip` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

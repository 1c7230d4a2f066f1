// The row of tools above the image, and undo.

import { $ } from "./dom.js";
import { endLook } from "./look.js";
import { emit, hand, hints, on } from "./state.js";
import { redo, undo } from "./undo.js";

export function chooseTool(name) {
  hand.tool = name;
  hand.current = null;
  document.querySelectorAll("[data-tool]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.tool === name));
  if (name !== "look") endLook();
  emit("hand");
}
document.querySelectorAll("[data-tool]").forEach((button) => { button.onclick = () => chooseTool(button.dataset.tool); });

export function brush(by) {
  $("brush").value = +$("brush").value + by;
  $("brush").oninput();
}
$("brush").oninput = () => { hand.brush = +$("brush").value; $("width").textContent = `${hand.brush} px`; emit("view"); };
$("brush").oninput();

$("undo").onclick = undo;
$("redo").onclick = redo;
on("hints", () => {
  $("undo").disabled = !hints.past.length;
  $("redo").disabled = !hints.future.length;
});

// The grid of a rubric: arrow keys from cell to cell, small editors in the panel, the focus back where one was.

import { MessageEditor } from "./editor/main.js";

const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

document.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  const cell = event.target.closest("[data-rubric] td");
  if (!step || !cell || event.altKey || event.ctrlKey || event.metaKey) return;
  const row = cell.parentElement.rowIndex + step[0];
  const next = cell.closest("table").rows[row]?.cells[cell.cellIndex + step[1]]?.querySelector(".rubric-edit");
  if (next) { event.preventDefault(); next.focus(); }
});

// The textareas stay what is sent; the editors write into them.
function begin(root) {
  for (const small of root.querySelectorAll("[data-small-editor]:not([data-mode])")) {
    const editor = new MessageEditor(small);
    small.closest(".field").querySelector("label").addEventListener("click", () => { if (!editor.isSource) editor.view.focus(); });
  }
}

const panel = document.getElementById("panel");
begin(panel);
document.addEventListener("htmx:after:swap", () => begin(panel));

// After saving, the cell that was open has the focus again.
const at = new URLSearchParams(location.search).get("cell");
const [id, what] = at?.split("-") ?? [];
const back = at && (document.getElementById(`cell-${id}-${what}`) ?? document.querySelector(`[data-at="${CSS.escape(at)}"]:not(:disabled)`));
if (back && !panel.childElementCount) {
  back.focus();
  const address = new URL(location.href);
  address.searchParams.delete("cell");
  history.replaceState(history.state, "", address);
}

// The sheet: move between cells with the arrow keys, open one with Enter or a click; keys stay in sight.
import "./menus.js";
import "./statistics.js";

const sheet = () => document.getElementById("learners");
const cellsOf = (row) => [...row.cells].filter((cell) => cell.matches("td:not(.pick)"));

// Several columns are frozen beside each other: each begins where those before it end. The places are rules of a style
// sheet, not attributes of cells: parts of the page that are kept and put back would bring those as inline styles.
const places = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, places];

function freeze() {
  const table = sheet();
  if (!table) return;
  const cells = [...table.tHead.rows[0].cells];
  const frozen = cells.slice(0, cells.findIndex((cell) => !cell.classList.contains("key")) >>> 0);
  let left = 0;
  const starts = frozen.map((cell) => { const start = left; left += cell.offsetWidth; return start; });
  const room = table.parentElement.clientWidth * 0.6;
  places.replaceSync(starts.map((start, at) => {
    const fits = start + frozen[at].offsetWidth <= room || start < 60;
    return `#learners tr > .key:nth-child(${at + 1}) { left: ${fits ? `${start}px` : "auto"}; }`;
  }).join("\n"));
}

function prepare() {
  const table = sheet();
  freeze();
  if (!table?.dataset.cells) return;
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", "Learners");
  table.parentElement.dataset.editable = "";
  table.parentElement.removeAttribute("tabindex");  // its cells take the focus now
  table.tBodies[0].querySelectorAll("td:not(.pick)").forEach((cell) => { cell.tabIndex = -1; });
  const first = table.tBodies[0].querySelector("td:not(.pick)");
  if (first) first.tabIndex = 0;
}

function focusOn(cell) {
  if (!cell) return;
  sheet().querySelectorAll("td[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
  cell.tabIndex = 0;
  cell.focus();
}

function open(cell) {
  const table = sheet();
  if (!table.dataset.cells || cell.querySelector("form")) return;
  const column = table.tHead.rows[0].cells[cell.cellIndex].dataset.column;
  if (!column) return;  // what is worked out for a message can't be typed
  const row = cell.parentElement.dataset.row;
  table.querySelectorAll("td.editing").forEach(cancel);
  htmx.ajax("GET", `${table.dataset.cells}/${row}/cells/${column}`, { target: cell, swap: "innerHTML" });
}

function cancel(cell) {
  const before = cell.querySelector("template");
  if (before) cell.replaceChildren(before.content.cloneNode(true));
  cell.classList.remove("editing");
}

// Where the keys lead from a cell; rows may be at the edge.
function neighbour(cell, key) {
  const row = cell.parentElement;
  const at = cellsOf(row).indexOf(cell);
  if (key === "ArrowLeft") return cellsOf(row)[at - 1];
  if (key === "ArrowRight") return cellsOf(row)[at + 1];
  if (key === "Home") return cellsOf(row)[0];
  if (key === "End") return cellsOf(row).at(-1);
  const other = key === "ArrowUp" ? row.previousElementSibling : row.nextElementSibling;
  return other && cellsOf(other)[at];
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-cancel]");
  if (button) {
    const cell = button.closest("td");
    cancel(cell);
    if (cell.closest("#learners")) focusOn(cell);
    return;
  }
  const cell = event.target.closest("#learners td:not(.pick)");
  if (cell && !event.target.closest("a, form") && !String(getSelection())) open(cell);
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest(".cell-form");
  if (form) {
    if (event.key === "Escape") { event.preventDefault(); form.querySelector("[data-cancel]")?.click(); }
    if (event.key === "Enter" && event.target.tagName === "SELECT") { event.preventDefault(); form.requestSubmit(); }
    if (event.key === "Enter" && event.target.tagName === "TEXTAREA" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    return;
  }
  const cell = event.target.closest("#learners td:not(.pick)");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" || event.key === "F2") { event.preventDefault(); open(cell); return; }
  if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
  event.preventDefault();
  focusOn(neighbour(cell, event.key));
});

// After a swap: the field takes the focus, or the cell that shows the saved value.
document.addEventListener("htmx:after:swap", () => {
  const field = document.querySelector("td .cell-form #cell-value");
  document.querySelectorAll("#learners td.editing").forEach((cell) => {
    if (!cell.querySelector("form")) { cell.classList.remove("editing"); focusOn(cell); }
  });
  if (field && !field.dataset.ready) {
    field.dataset.ready = "1";
    field.closest("#learners td")?.classList.add("editing");
    field.focus();
    field.select?.();
  }
  const table = sheet();
  if (table && !table.dataset.ready) { table.dataset.ready = "1"; prepare(); }
  else freeze();
});

addEventListener("resize", freeze);
sheet()?.setAttribute("data-ready", "1");
prepare();

// The table's page beyond its cells: choosing learners, sorting by several columns, moving columns, choosing columns.

import { post, toast } from "./app.js";

const sheet = () => document.getElementById("learners");
const picks = () => [...document.querySelectorAll("#learners [name=row]")];
let last = null;

function said() {
  const form = document.getElementById("rows-form");
  if (!form) return;
  const all = form.querySelector("[name=all]");
  const number = picks().filter((box) => box.checked).length;
  form.classList.toggle("is-open", number > 0 || Boolean(all?.checked));
  form.querySelector("[data-many-count]").textContent = all?.checked ? "All that match are chosen" : number ? `${number} chosen` : "";
  const whole = document.querySelector("[data-pick-all]");
  if (whole) {
    whole.checked = number > 0 && number === picks().length;
    whole.indeterminate = number > 0 && number < picks().length;
  }
}

document.addEventListener("click", (event) => {
  const box = event.target.closest("#learners [name=row]");
  if (box) {
    const boxes = picks();
    if (event.shiftKey && last && boxes.includes(last)) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((one, other) => one - other);
      boxes.slice(from, to + 1).forEach((one) => { one.checked = box.checked; });
    }
    last = box;
    said();
    return;
  }
  const name = event.target.closest("#learners thead a.name");
  if (name && event.shiftKey) {
    event.preventDefault();
    event.stopPropagation();
    follow(name.dataset.more);
    return;
  }
  const step = Number(event.target.closest("#learners [data-move]")?.dataset.move);
  if (step) beside(event.target.closest("th[data-column]"), step);
}, true);

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick-all]")) picks().forEach((box) => { box.checked = event.target.checked; });
  if (event.target.closest("#rows-form, #learners")) said();
  if (event.target.matches("[data-filter-op]")) fitFilter();
});

function fitFilter() {
  const operator = document.querySelector("[data-filter-op]");
  if (!operator) return;
  const form = operator.form;
  const needsNone = ["is_null", "is_not_null"].includes(operator.value);
  form.querySelector("[name=value]").hidden = needsNone;
  const until = form.querySelector(".until");
  if (until) until.hidden = operator.value !== "between";
}

function follow(address) {
  htmx.ajax("GET", address, { target: "#grid", swap: "innerHTML" });
  history.pushState({}, "", address);
}

const heads = () => [...sheet().tHead.rows[0].cells].filter((cell) => cell.dataset.column);

function beside(head, step) {
  const all = heads();
  const at = all.indexOf(head);
  const before = step < 0 ? all[at - 1] : all[at + 2];
  if (step < 0 ? at > 0 : at < all.length - 1) move(head.dataset.column, before?.dataset.column ?? "");
}

// The page is drawn anew either way: in the new order, or as it was when the change was refused.
async function move(column, before) {
  const { order, view } = sheet().dataset;
  const answer = await post(order, { column, before, view });
  const address = new URL(location.href);
  if (answer.status === 200) address.searchParams.delete("columns");
  else toast("The column could not be moved; somebody may have changed the table. It is where it was.");
  address.searchParams.delete("after");
  address.searchParams.delete("before");
  follow(address.pathname + address.search);
}

let dragged = null;
document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.("#learners th[data-column]");
  dragged?.classList.add("dragged");
});
document.addEventListener("dragover", (event) => {
  const over = dragged && event.target.closest?.("#learners th[data-column]");
  document.querySelectorAll(".drop").forEach((cell) => cell.classList.remove("drop"));
  if (!over) return;
  event.preventDefault();
  over.classList.add("drop");
});
document.addEventListener("drop", (event) => {
  const over = dragged && event.target.closest?.("#learners th[data-column]");
  if (!over) return;
  event.preventDefault();
  if (over === dragged) return;
  const all = heads();
  const goesRight = all.indexOf(over) > all.indexOf(dragged);
  const before = goesRight ? all[all.indexOf(over) + 1] : over;
  move(dragged.dataset.column, before?.dataset.column ?? "");
});
document.addEventListener("dragend", () => {
  document.querySelectorAll(".drop, .dragged").forEach((cell) => cell.classList.remove("drop", "dragged"));
  dragged = null;
});

// What was searched and sorted since the page came belongs to the view that is saved.
document.addEventListener("toggle", (event) => {
  if (event.newState !== "open") return;
  const link = event.target.querySelector?.("[data-save-view]");
  if (link) link.href = link.dataset.saveView + location.search;
}, true);

// Search and filters change the address and not this link.
const charts = document.querySelector("a[data-charts]");
charts?.addEventListener("click", () => { charts.href = charts.dataset.charts + location.search; });

document.addEventListener("htmx:after:swap", () => { said(); fitFilter(); });
said();
fitFilter();

// The list of questions: drag one to another place; its form shows the fields of the chosen kind only.

const list = document.getElementById("questions");
const order = document.getElementById("order-form");

function showKind(form) {
  const kind = form.elements.kind.value;
  for (const part of form.querySelectorAll("[data-kinds]")) {
    part.hidden = !part.dataset.kinds.split(" ").includes(kind);
  }
}

function prepare() {
  for (const form of document.querySelectorAll("form[data-question]:not([data-ready])")) {
    form.dataset.ready = "1";
    form.elements.kind.addEventListener("change", () => showKind(form));
    showKind(form);
  }
}

document.addEventListener("htmx:after:swap", prepare);
prepare();

let dragged = null;

function under(event) {
  const item = event.target.closest?.("#questions > li");
  return item && item !== dragged ? item : null;
}

function unmark() {
  list.querySelectorAll(".drop").forEach((item) => item.classList.remove("drop"));
}

list?.addEventListener("dragstart", (event) => {
  dragged = event.target.closest("li");
  dragged.classList.add("dragged");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.id);
});
list?.addEventListener("dragover", (event) => {
  const item = under(event);
  if (!dragged || !item) return;
  event.preventDefault();
  unmark();
  item.classList.add("drop");
});
list?.addEventListener("dragend", () => { dragged?.classList.remove("dragged"); dragged = null; unmark(); });
list?.addEventListener("drop", (event) => {
  const item = under(event);
  if (!dragged || !item) return;
  event.preventDefault();
  const isBelow = dragged.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING;
  if (isBelow) item.after(dragged); else item.before(dragged);
  for (const one of list.children) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "id", value: one.dataset.id });
    order.append(field);
  }
  order.requestSubmit();
});

const search = document.getElementById("question-search");
search?.parentElement.removeAttribute("hidden");
search?.addEventListener("input", () => {
  const needle = search.value.trim().toLowerCase();
  for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(needle);
});

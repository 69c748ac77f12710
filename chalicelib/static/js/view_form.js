// The columns of a view: put into another order with buttons beside them, or by dragging.

const list = document.querySelector("[data-view-columns]");
let dragged = null;

function button(words, sign, step) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn btn-sm btn-link";
  made.textContent = sign;
  made.dataset.step = step;
  made.setAttribute("aria-label", words);
  return made;
}

for (const item of list.children) {
  const name = item.textContent.trim();
  item.append(button(`Move ${name} up`, "↑", -1), button(`Move ${name} down`, "↓", 1));
  item.draggable = true;
}

list.addEventListener("click", (event) => {
  const step = Number(event.target.closest("[data-step]")?.dataset.step);
  if (!step) return;
  const item = event.target.closest("li");
  if (step < 0) item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  event.target.focus();
});

list.addEventListener("dragstart", (event) => { dragged = event.target.closest("li"); });
list.addEventListener("dragover", (event) => {
  const over = event.target.closest("li");
  if (!dragged || !over) return;
  event.preventDefault();
  const box = over.getBoundingClientRect();
  over[event.clientY < box.top + box.height / 2 ? "before" : "after"](dragged);
});
list.addEventListener("drop", (event) => event.preventDefault());
list.addEventListener("dragend", () => { dragged = null; });

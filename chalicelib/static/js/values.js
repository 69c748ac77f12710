// A field with one value on each line becomes a list: lines are typed, taken out, and put in order by drag or arrow keys.
// The field itself stays in the form and is what is sent; with "Type them as lines" it is shown again.

const make = (tag, attributes, ...inside) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
};

function build(field) {
  const name = document.querySelector(`label[for="${field.id}"]`).firstChild.textContent.trim();
  const list = make("ol", { class: "values-list", "aria-label": name });
  const status = make("p", { class: "visually-hidden", role: "status" });
  const add = make("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, "Add a value");
  const asLines = make("button", { type: "button", class: "btn btn-sm btn-link" }, "Type them as lines");
  const box = make("div", { class: "values" }, list, make("div", { class: "values-foot" }, add, asLines), status);

  const inputs = () => [...list.querySelectorAll("input")];
  const sync = () => { field.value = inputs().map((input) => input.value).join("\n"); };

  function line(value) {
    const input = make("input", { class: "form-control form-control-sm", "aria-label": "Value", maxlength: "1000" });
    input.value = value;
    const handle = make("button", { type: "button", class: "handle", title: "Drag, or press ↑ and ↓" }, "⠿");
    const away = make("button", { type: "button", class: "btn btn-sm btn-link values-away", title: "Take it out" }, "✕");
    const label = () => {
      handle.setAttribute("aria-label", `Move ${input.value || "this value"}`);
      away.setAttribute("aria-label", `Take out ${input.value || "this value"}`);
    };
    label();
    input.addEventListener("input", () => { label(); sync(); });
    return make("li", {}, handle, input, away);
  }

  const fill = () => list.replaceChildren(...field.value.split("\n").filter((value) => value.trim()).map(line));

  function put(after, values) {
    const lines = values.map(line);
    if (after) after.after(...lines);
    else list.append(...lines);
    lines.at(-1)?.querySelector("input").focus();
    sync();
  }

  add.addEventListener("click", () => put(null, [""]));
  asLines.addEventListener("click", () => { box.remove(); field.hidden = false; field.focus(); });
  list.addEventListener("click", (event) => {
    const taken = event.target.closest(".values-away")?.closest("li");
    if (!taken) return;
    const next = taken.nextElementSibling ?? taken.previousElementSibling;
    taken.remove();
    sync();
    (next?.querySelector("input") ?? add).focus();
  });
  list.addEventListener("keydown", (event) => {
    if (event.target.tagName !== "INPUT" || event.key !== "Enter") return;
    event.preventDefault();
    put(event.target.closest("li"), [""]);
  });
  list.addEventListener("paste", (event) => {
    const values = event.clipboardData.getData("text").split(/\r?\n/).filter((value) => value.trim());
    if (event.target.tagName !== "INPUT" || values.length < 2) return;
    event.preventDefault();
    const here = event.target.closest("li");
    put(here, values);
    if (!event.target.value) { here.remove(); sync(); }
  });
  list.addEventListener("moved", (event) => {
    sync();
    const place = [...list.children].indexOf(event.target) + 1;
    status.textContent = `${event.target.querySelector("input").value} is number ${place} now.`;
  });

  fill();
  field.hidden = true;
  field.before(box);
}

document.querySelectorAll("textarea[data-values]").forEach(build);

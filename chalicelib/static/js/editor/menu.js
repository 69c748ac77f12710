// A menu below a button and a small dialog with fields, both by keyboard.

import { make } from "../rules_values.js";

let close = () => {};
// Longer menus can be searched.
const MANY = 8;

// Menus stand in the page's main part, where screen readers look for what belongs to it.
export const home = () => document.querySelector("main") ?? document.body;

// `items` are {label, run, hint, isOn} or "-"; `anchor` takes the focus back when nothing was chosen.
export function openMenu(anchor, label, items) {
  close();
  const menu = make("div", { class: "editor-menu", role: "menu", "aria-label": label });
  for (const item of items) {
    if (item === "-") { menu.append(make("div", { role: "separator", class: "editor-menu-line" })); continue; }
    menu.append(make("button", { type: "button", role: "menuitem", tabindex: "-1", on: { click: () => { close(); item.run(); } } },
      item.label, item.hint ? make("span", { class: "editor-menu-hint" }, item.hint) : ""));
  }
  const find = menu.querySelectorAll("button").length > MANY ? finder(menu) : null;
  const box = find ? make("div", { class: "editor-menu-box" }, find, menu) : menu;
  home().append(box);
  place(box, anchor.getBoundingClientRect());
  anchor.setAttribute("aria-expanded", "true");
  const leave = (event) => { if (!box.contains(event.target) && !anchor.contains(event.target)) close(); };
  close = () => {
    box.remove();
    anchor.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", leave, true);
    close = () => {};
  };
  document.addEventListener("pointerdown", leave, true);
  box.addEventListener("keydown", (event) => steps(event, menu, anchor));
  (find ?? menu.querySelector("button"))?.focus();
}

// A field above a long menu that leaves only the lines with what is typed there.
function finder(menu) {
  return make("input", { type: "search", class: "form-control form-control-sm editor-menu-find", "aria-label": "Find in the list", placeholder: "Find",
    autocomplete: "off", on: { input: ({ target }) => {
      const words = target.value.trim().toLowerCase();
      for (const line of menu.children) line.hidden = Boolean(words) && !line.textContent.toLowerCase().includes(words);
    } } });
}

function steps(event, menu, anchor) {
  const isFinding = event.target.type === "search";
  if (isFinding && (event.key === "Home" || event.key === "End")) return;
  const buttons = [...menu.querySelectorAll("button:not([hidden])")];
  if (isFinding && event.key === "Enter") { event.preventDefault(); buttons[0]?.click(); return; }
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to !== undefined) { event.preventDefault(); buttons.at(to % buttons.length).focus(); }
  if (event.key === "Escape" || event.key === "Tab") { event.preventDefault(); close(); anchor.focus(); }
  if (!isFinding && event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
    const from = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
    from.find((button) => button.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  }
}

// Below the place, or above where there is no room; never outside the window.
export function place(box, rect) {
  const below = rect.bottom + 4 + box.offsetHeight <= innerHeight || rect.top < box.offsetHeight;
  box.style.top = `${below ? rect.bottom + 4 : rect.top - box.offsetHeight - 4}px`;
  box.style.left = `${Math.max(8, Math.min(rect.left, innerWidth - box.offsetWidth - 8))}px`;
}

// Asks for some values; resolves with {name: text}, or null when it was closed. `fields` are {name, label, value, hint, type}.
export function ask(title, fields, action = "OK", remove = "") {
  return new Promise((resolve) => {
    const dialog = make("dialog", { class: "editor-dialog", "aria-label": title });
    const form = make("form", { method: "dialog" }, make("h2", {}, title));
    for (const { name, label, value = "", hint = "", ...more } of fields) {
      const id = `ask-${name}`;
      const input = make("input", { class: "form-control", id, name, autocomplete: "off", ...more });
      input.value = value;
      if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
      form.append(make("div", { class: "field" }, make("label", { class: "form-label", for: id }, label), input,
        hint ? make("div", { class: "form-text", id: `${id}-hint` }, hint) : ""));
    }
    const buttons = make("div", { class: "editor-dialog-foot" }, make("button", { class: "btn btn-primary", value: "ok" }, action));
    if (remove) buttons.append(make("button", { class: "btn btn-outline-secondary", value: "remove", formnovalidate: true }, remove));
    buttons.append(make("button", { class: "btn btn-link", value: "", formnovalidate: true }, "Cancel"));
    form.append(buttons);
    dialog.append(form);
    dialog.addEventListener("close", () => {
      const values = Object.fromEntries(new FormData(form));
      dialog.remove();
      resolve(dialog.returnValue ? { ...values, isRemoved: dialog.returnValue === "remove" } : null);
    });
    home().append(dialog);
    dialog.showModal();
    form.querySelector("input")?.select();
  });
}

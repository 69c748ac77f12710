// A menu below a button and a small dialog with fields, both by keyboard.

import { make } from "../rules_values.js";

let close = () => {};

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
  home().append(menu);
  place(menu, anchor.getBoundingClientRect());
  anchor.setAttribute("aria-expanded", "true");
  const leave = (event) => { if (!menu.contains(event.target) && !anchor.contains(event.target)) close(); };
  close = () => {
    menu.remove();
    anchor.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", leave, true);
    close = () => {};
  };
  document.addEventListener("pointerdown", leave, true);
  menu.addEventListener("keydown", (event) => steps(event, menu, anchor));
  menu.querySelector("button")?.focus();
}

function steps(event, menu, anchor) {
  const buttons = [...menu.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to !== undefined) { event.preventDefault(); buttons.at(to % buttons.length).focus(); }
  if (event.key === "Escape" || event.key === "Tab") { event.preventDefault(); close(); anchor.focus(); }
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
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

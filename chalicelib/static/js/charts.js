// The dashboard: menus open under their button.

const place = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, place];

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.matches(".menu")) return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  const left = Math.max(8, Math.min(button.left, window.innerWidth - menu.offsetWidth - 8));
  place.replaceSync(`.menu:popover-open { inset: ${button.bottom + 4}px auto auto ${left}px; }`);
}, true);

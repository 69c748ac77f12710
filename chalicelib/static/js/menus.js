// A menu opens below its button, inside the window. (A style sheet of ours: the policy forbids inline styles in markup.)

const place = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, place];

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.classList?.contains("menu")) return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  const left = Math.max(8, Math.min(button.left, innerWidth - menu.offsetWidth - 8));
  const top = Math.max(8, Math.min(button.bottom + 4, innerHeight - menu.offsetHeight - 8));
  place.replaceSync(`.menu:popover-open { inset: ${top}px auto auto ${left}px; }`);
}, true);

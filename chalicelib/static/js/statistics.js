// Statistics open over the page that links to them; without a script, or in a new tab, they are pages.
const statistics = document.getElementById("statistics");
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || !statistics || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const menu = link.closest("[popover]");
  menu?.hidePopover();
  const address = `${link.href}${link.href.includes("?") ? "&" : "?"}dialog=1`;
  await htmx.ajax("GET", address, { target: "#statistics-body", swap: "innerHTML" });
  if (!statistics.querySelector("h2")) return;  // what went wrong is said elsewhere
  statistics.showModal();
  statistics.scrollTop = 0;
  const opener = menu ? document.querySelector(`[popovertarget="${menu.id}"]`) : link;
  statistics.addEventListener("close", () => {
    statistics.querySelector("#statistics-body").replaceChildren();
    opener?.focus();
  }, { once: true });
});

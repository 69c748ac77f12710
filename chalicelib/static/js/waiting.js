// Repeats the request of the waiting page: a GET as a reload, a POST with its fields, which lie in the page's form.

const form = document.querySelector("form[data-repeat]");

const timer = setTimeout(() => {
  if (form.getAttribute("method") === "get") location.reload();
  // Called by way of the prototype: a field named "submit" would hide the form's own method.
  else HTMLFormElement.prototype.submit.call(form);
}, Number(form.dataset.repeat) * 1000);

// Whoever presses the button is not overtaken by the clock: the same form would be sent twice.
form.addEventListener("submit", () => clearTimeout(timer));

// The fields that say how often: only those that count are shown.

const every = document.getElementById("f-r_every");

export function showWhatCounts() {
  for (const part of document.querySelectorAll("[data-for-every]")) {
    part.hidden = !part.dataset.forEvery.split(" ").includes(every.value);
  }
}

if (every) {
  every.addEventListener("input", showWhatCounts);
  // What was looked at before is not what the fields say now.
  document.getElementById("repeat-form")?.addEventListener("input", () => document.querySelector(".looked")?.remove());
  showWhatCounts();
}

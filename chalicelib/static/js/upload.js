// Add data: take a dropped or chosen file, send it straight to the file store, say when it has arrived.
import { post } from "./app.js";

const drop = document.getElementById("drop");
const input = document.getElementById("f-file");
const sending = document.getElementById("sending");
const words = document.getElementById("sending-words");
const bar = document.getElementById("sending-bar");
const problem = document.getElementById("file-problem");
let transfer = null;

function say(message) {
  problem.textContent = message;
  problem.hidden = !message;
  if (message) {
    sending.hidden = true;
    input.disabled = false;
    input.value = "";
    input.focus();
  }
}

function send(form, file) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
    body.append("file", file);
    transfer = new XMLHttpRequest();
    transfer.open("POST", form.url);
    transfer.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = Math.round((100 * event.loaded) / event.total);
      words.textContent = `Sending the file: ${Math.floor(bar.value / 10) * 10} %`;
    });
    transfer.addEventListener("load", () => (transfer.status < 300 ? resolve() : reject(new Error("refused"))));
    transfer.addEventListener("error", () => reject(new Error("lost")));
    transfer.addEventListener("abort", () => reject(new Error("stopped")));
    transfer.send(body);
  });
}

const failures = {
  stopped: "Stopped. Nothing was added.",
  refused: "The file store did not take the file. Please choose it again.",
};

async function upload(file) {
  say("");
  if (!file.size) { say("The file is empty. Choose another one."); return; }
  if (file.size > drop.dataset.maxMb * 1e6) { say(`The file is too large: files of up to ${drop.dataset.maxMb} MB are possible.`); return; }
  input.disabled = true;
  sending.hidden = false;
  bar.value = 0;
  words.textContent = `Sending “${file.name}” …`;
  try {
    const begun = await post(drop.dataset.begin, { filename: file.name, size: file.size });
    if (begun.status !== 200 || !begun.data) throw new Error(begun.data?.message ?? "lost");
    await send(begun.data, file);
    words.textContent = "The file has arrived.";
    const arrived = await post(begun.data.arrived, {});
    if (arrived.status !== 200 || !arrived.data) throw new Error(arrived.data?.message ?? "lost");
    location.assign(arrived.data.page);
  } catch (error) {
    const known = failures[error.message] ?? (error.message === "lost" || error instanceof TypeError ? null : error.message);
    say(known ?? "The connection was lost. Please choose the file again.");
  }
}

input.addEventListener("change", () => { if (input.files.length) upload(input.files[0]); });
document.getElementById("sending-stop").addEventListener("click", () => transfer?.abort());
drop.addEventListener("submit", (event) => event.preventDefault());
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && !input.disabled) upload(file);
});

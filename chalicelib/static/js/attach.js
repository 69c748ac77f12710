// Files for everybody: sent straight to the file store, then noted with the form, which is kept on the way.
import { post } from "./app.js";

const input = document.getElementById("attach");
const form = document.getElementById("send-form");
const status = document.getElementById("attaching");
const problem = document.getElementById("p-files");

function fields(more) {
  const sent = new FormData(form);
  for (const [name, value] of Object.entries(more)) sent.set(name, value);
  return [...sent].filter(([, value]) => typeof value === "string");
}

async function asked(more) {
  const answer = await post(input.dataset.prepare, fields(more));
  if (answer.status !== 200 || !answer.data) throw new Error(answer.data?.message ?? "");
  return answer.data;
}

async function send(file) {
  const begun = await asked({ do: "attach", filename: file.name, size: file.size });
  const body = new FormData();
  for (const [name, value] of Object.entries(begun.fields)) body.append(name, value);
  body.append("file", file);
  const stored = await fetch(begun.url, { method: "POST", body });
  if (!stored.ok) throw new Error("The file store did not take the file. Please choose it again.");
  return asked({ do: "arrived", key: begun.key });
}

input?.addEventListener("change", async () => {
  problem.textContent = "";
  let page = "";
  try {
    for (const file of input.files) {
      status.textContent = `Sending “${file.name}” …`;
      page = (await send(file)).page;
    }
  } catch (error) {
    problem.textContent = error instanceof TypeError || !error.message ? "The connection was lost. Please choose the file again." : error.message;
  }
  status.textContent = "";
  input.value = "";
  if (page && !problem.textContent) location.assign(page);
});

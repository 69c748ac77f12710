// Pictures: chosen, pasted or dropped files go to the file store; the text gets their address.

import { post } from "../app.js";
import * as commands from "./commands.js";
import { ask } from "./menu.js";

const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const ALT = { name: "alt", label: "What it shows, for those who don’t see it", required: true, maxlength: 300 };

const here = (page) => `${page.root.dataset.here}/images`;

async function send(page, file) {
  const begun = await post(here(page), { type: file.type, size: file.size });
  if (begun.status !== 200) throw new Error(begun.data?.message ?? "The picture could not be sent.");
  const body = new FormData();
  for (const [name, value] of Object.entries(begun.data.fields)) body.append(name, value);
  body.append("file", file);
  const sent = await fetch(begun.data.url, { method: "POST", body });
  if (!sent.ok) throw new Error("The file store did not take the picture. Please try again.");
  const arrived = await post(here(page), { arrived: begun.data.name });
  if (arrived.status !== 200) throw new Error(arrived.data?.message ?? "The picture could not be sent.");
  return arrived.data.address;
}

async function insert(page, file, alt) {
  page.tell("Sending the picture …");
  try {
    commands.insertImage(page.view, await send(page, file), alt);
    page.tell("");
  } catch (error) {
    page.tell(error instanceof TypeError ? "The connection was lost. Please try again." : error.message);
  }
}

// Asks for a file or an address.
export async function askPicture(page) {
  const answer = await ask("Picture", [
    { name: "file", label: "A file of yours", type: "file", accept: TYPES.join(), hint: "PNG, JPEG, GIF or WebP of at most 2 MB." },
    { name: "src", label: "Or its address", placeholder: "https://…", pattern: "https?://.+", hint: "Pictures are loaded from there when the mail is read." },
    ALT,
  ], "Insert");
  if (!answer) return;
  if (answer.file?.size) await insert(page, answer.file, answer.alt.trim());
  else if (answer.src.trim()) commands.insertImage(page.view, answer.src.trim(), answer.alt.trim());
  else page.tell("Choose a file or write an address.");
}

// Pictures on the clipboard or dropped; true when there is one and it is taken care of.
export function takePicture(page, transfer) {
  const file = [...(transfer?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (!file) return false;
  ask("The picture", [ALT], "Insert").then((answer) => { if (answer) insert(page, file, answer.alt.trim()); });
  return true;
}

// Saves the text while it is written: a second after the last change, before the page is left, again after a failure.
// Whatever happens, what was typed stays in the field; the server keeps what it refuses as a draft, and this tab what
// has not reached the server yet.

import { post } from "./app.js";

const QUIET_MS = 1000;
const AGAIN_MS = 5000;

export class Saver {
  // `tell` is called with {state, …}: waiting, saving, saved, refused (problems), stale (version, text), lost, signedOut.
  constructor(form, tell) {
    Object.assign(this, { form, tell, timer: 0, running: null, isDirty: false, hasFailed: false, unanswered: null });
    this.field = form.elements.text;
    this.hasDraft = this.field.dataset.stored !== undefined;
    this.saved = this.field.dataset.stored ?? this.field.value;
    this.key = `text of ${form.action}`;
    form.addEventListener("text-change", () => this.changed());
    document.addEventListener("visibilitychange", () => { if (document.hidden && this.isDirty) this.save(); });
    addEventListener("beforeunload", (event) => {
      if (!this.isDirty) return;
      if (this.hasFailed) event.preventDefault(); else this.save();
    });
  }

  changed() {
    clearTimeout(this.timer);
    if (this.field.value === this.saved) { this.settled(); return; }
    this.isDirty = true;
    sessionStorage.setItem(this.key, JSON.stringify({ text: this.field.value, version: this.form.elements.version.value }));
    this.tell({ state: "waiting" });
    this.timer = setTimeout(() => this.save(), QUIET_MS);
  }

  settled() {
    if (this.hasDraft) post(this.form.action, { drop_draft: "1" }).catch(() => {});
    this.forget();
    this.tell({ state: "saved", removed: [] });
  }

  // What is in the field is not to be kept.
  forget() {
    clearTimeout(this.timer);
    this.isDirty = this.hasFailed = this.hasDraft = false;
    sessionStorage.removeItem(this.key);
  }

  // What was typed before the page broke off, {text, version}, or null.
  left() {
    const left = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
    return left && left.text !== this.field.value ? left : null;
  }

  // Resolves to whether the text is stored now.
  async flush() {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    return !this.isDirty || this.save();
  }

  save() {
    clearTimeout(this.timer);
    this.running ??= this.send().finally(() => { this.running = null; });
    return this.running;
  }

  // What may have arrived without an answer goes first, as it was: the server knows its own text again, and tells
  // a change by somebody else from ours.
  async send() {
    const text = this.unanswered ?? this.field.value;
    this.tell({ state: "saving" });
    let answer;
    try {
      answer = await post(this.form.action, { text, version: this.form.elements.version.value });
    } catch {
      answer = { status: 0 };
    }
    this.hasFailed = answer.status !== 200;
    this.unanswered = answer.status === 0 || answer.status >= 500 ? text : null;
    this.hasDraft = answer.status === 422 || answer.status === 409 || (this.hasDraft && this.hasFailed);
    if (answer.status === 200) return this.done(text, answer.data);
    if (answer.status === 422) this.tell({ state: "refused", ...answer.data });
    else if (answer.status === 409) this.tell({ state: "stale", ...answer.data });
    else {
      this.tell({ state: answer.status === 401 || answer.status === 403 ? "signedOut" : "lost" });
      this.timer = setTimeout(() => this.save(), AGAIN_MS);
    }
    return false;
  }

  done(text, { version, removed, note }) {
    this.form.elements.version.value = version;
    this.saved = text;
    this.isDirty = this.field.value !== text;
    if (this.isDirty) { this.timer = setTimeout(() => this.save(), QUIET_MS); return false; }
    this.forget();
    this.tell({ state: "saved", removed, note, isNew: true });
    return true;
  }

  // What somebody else saved counts as the text that ours is a change of.
  accept(version, text) {
    this.form.elements.version.value = version;
    this.saved = text;
  }
}

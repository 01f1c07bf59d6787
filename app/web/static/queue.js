// One animal on its way: a row with a small picture, what is happening, and its progress.

import { fetchPlate, identify, newKey } from "./upload.js";

// Too large, no photo format, not to be decoded: the same file is refused again. A wrong field (also 422) can be mended.
const HOPELESS = new Set(["photo-too-large", "unsupported-photo", "undecodable-photo"].map((slug) => `/problems/${slug}`));
const template = document.getElementById("queue-item");

export class Animal {
  /** `listener` hears answered(animal, id, plateHtml), failed(animal, refusal) and gone(animal). `before`: the animals
   *  that were chosen together with this one, and come before it. */
  constructor(files, fields, listener, before) {
    this.files = files;
    this.before = before;
    this.fields = fields;
    this.key = newKey();
    this.listener = listener;
    this.row = template.content.firstElementChild.cloneNode(true);
    this.words = this.row.querySelector(".words");
    this.bar = this.row.querySelector("progress");
    this.retry = this.row.querySelector(".retry");
    this.cancel = this.row.querySelector(".cancel");
    this.name = files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
    this.row.querySelector(".file").textContent = this.name;
    this.bar.setAttribute("aria-label", `Progress of ${this.name}`);
    this.cancel.setAttribute("aria-label", `Cancel ${this.name}`);
    this.retry.setAttribute("aria-label", `Try ${this.name} again`);
    this.showThumbnail();
    this.cancel.addEventListener("click", () => this.stop());
    this.say("Waiting for its turn", 0);
  }

  /** Ask for something else the next time; the same question keeps its key. */
  ask(fields) {
    if (JSON.stringify(fields) === JSON.stringify(this.fields)) return;
    this.fields = fields;
    this.key = newKey();
  }

  showThumbnail() {
    const image = this.row.querySelector(".thumb");
    const address = URL.createObjectURL(this.files[0]);
    const done = () => URL.revokeObjectURL(address);
    image.addEventListener("load", done, { once: true });
    image.addEventListener("error", () => { done(); image.removeAttribute("src"); }, { once: true }); // a format only the server reads
    image.src = address;
  }

  say(words, percent) {
    this.words.textContent = words;
    if (percent === null) this.bar.removeAttribute("value");
    else this.bar.value = percent;
  }

  stop() {
    this.stopped = true;
    this.controller?.abort();
    this.row.remove();
    this.listener.gone(this);
  }

  async run() {
    this.controller = new AbortController();
    this.row.classList.remove("failed");
    this.bar.hidden = false;
    this.retry.hidden = true;
    this.say("Sending", 0);
    try {
      const { signal } = this.controller;
      const answer = await identify(this.files, this.fields, this.key, {
        signal,
        progress: (share) => (share < 1 ? this.say(`Sending, ${Math.round(100 * share)}%`, 100 * share) : this.say("Looking at it", null)),
        waiting: (seconds) => this.say(`The service is busy; again in ${seconds} s`, null),
      });
      const plate = await fetchPlate(answer.id, signal);
      this.row.remove();
      this.listener.answered(this, answer.id, plate);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  fail(error) {
    const title = error.title || "Something went wrong on this page";
    this.row.classList.add("failed");
    this.bar.hidden = true;
    this.words.textContent = `${title}. ${error.message}`;
    this.retry.hidden = HOPELESS.has(error.type);
    this.cancel.textContent = "Remove";
    this.cancel.setAttribute("aria-label", `Remove ${this.name}`);
    this.listener.failed(this, title);
  }
}

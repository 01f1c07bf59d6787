// The page that identifies: photos come in by choosing, dropping, pasting or the camera; each answer becomes a plate.

import { Animal } from "./queue.js";
import { forget, forgetAll, remember, remembered } from "./remembered.js";
import { fetchPlate } from "./upload.js";

const AT_ONCE = 2;

const form = document.getElementById("trap");
if (form) start();

function start() {
  const drop = document.getElementById("drop");
  const together = document.getElementById("together");
  const work = document.getElementById("work");
  const queue = document.getElementById("queue");
  const answers = document.getElementById("answers");
  const clear = document.getElementById("clear");
  const status = document.getElementById("status");
  const waiting = [];
  let running = 0;
  let numFailed = 0;
  let numAnswered = 0;
  let numGiven = 0;

  const listener = {
    answered(animal, id, plate) {
      numAnswered += 1;
      show(animal, id, plate);
    },
    failed(animal, title) {
      numFailed += 1;
      announce(`${animal.name}: ${title}.`);
      animal.retry.addEventListener("click", () => { numFailed -= 1; animal.ask(wanted(form)); enqueue(animal); }, { once: true });
    },
    gone(animal) {
      const index = waiting.indexOf(animal);
      if (index >= 0) waiting.splice(index, 1);
      work.hidden = queue.children.length === 0;
      form.querySelector("#photos").focus();
    },
  };

  /** The newest choice at the top; of one choice, the photos in their order, whichever is answered first. */
  function show(animal, id, plate) {
    const content = markup(plate, animal.name);
    const article = content.querySelector("article");
    const above = animal.before.findLast((other) => other.article?.isConnected);
    remember(id, animal.name, above?.id);
    if (above) above.article.after(content);
    else answers.prepend(content);
    Object.assign(animal, { id, article });
    clear.hidden = false;
    announce(`${numAnswered} of ${numGiven}. ${article.dataset.announcement}`);
    // One photo: the reader goes on in its answer. Several: the focus stays where the person is working.
    if (numGiven === 1) article.querySelector("h2").focus();
    work.hidden = queue.children.length === 0;
  }

  async function showEarlier() {
    for (const { id, file } of remembered()) {
      try {
        const plate = await fetchPlate(id);
        if (!remembered().some((kept) => kept.id === id)) return; // cleared meanwhile
        answers.append(markup(plate, file));
        clear.hidden = false;
      } catch (error) {
        if (error.status === 404) forget(id); // deleted, or not for this person; anything else may pass
      }
    }
  }

  function announce(words) {
    status.textContent = words;
  }

  function enqueue(animal) {
    animal.say("Waiting for its turn", 0);
    waiting.push(animal);
    next();
  }

  function next() {
    while (running < AT_ONCE && waiting.length > 0) {
      running += 1;
      waiting.shift().run().finally(() => { running -= 1; next(); });
    }
  }

  function take(fileList) {
    const { good: files, words } = sorted([...fileList], Number(form.dataset.maxBytes));
    complain(words);
    if (files.length === 0) return;
    const most = Number(form.dataset.maxPhotos);
    if (together.checked && files.length > most) {
      announce(`At most ${most} photos of one animal; ${files.length} were chosen.`);
      complain(`${words} These are ${files.length} photos. One answer takes at most ${most} photos of an animal: choose fewer, or untick the box.`);
      return;
    }
    if (queue.children.length === 0) numGiven = numAnswered = 0;
    const chosen = together.checked ? [files] : files.map((file) => [file]);
    numGiven += chosen.length;
    work.hidden = false;
    const animals = [];
    for (const photos of chosen) {
      const animal = new Animal(photos, wanted(form), listener, [...animals]);
      animals.push(animal);
      queue.append(animal.row);
      enqueue(animal);
    }
    announce(animals.length === 1 ? "One animal on its way." : `${animals.length} animals on their way.`);
  }

  function complain(words) {
    let notice = document.getElementById("complaint");
    if (!notice) {
      notice = document.createElement("p");
      notice.id = "complaint";
      notice.className = "notice bad";
      notice.setAttribute("role", "alert"); // the status line goes on to say what is on its way
      form.after(notice);
    }
    notice.textContent = words;
    notice.hidden = words === "";
  }

  for (const input of form.querySelectorAll('input[type="file"]')) {
    input.addEventListener("change", () => { take(input.files); input.value = ""; });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  acceptDrops(drop, take);
  clear.addEventListener("click", () => {
    forgetAll();
    answers.replaceChildren();
    clear.hidden = true;
    form.querySelector("#photos").focus();
  });
  showEarlier();
}

/** The files that can be sent, and what is wrong with the others: those would be refused after they were sent. */
function sorted(files, maxBytes) {
  const named = (those) => those.map((file) => file.name).join(", ");
  const empty = files.filter((file) => file.size === 0);
  const large = files.filter((file) => file.size > maxBytes);
  const words = [
    empty.length ? `There is nothing in ${named(empty)}: the file has 0 bytes. Was it copied whole?` : "",
    large.length ? `Not sent, as a photo may have at most ${megabytes(maxBytes)}: ${large.map((file) => `${file.name} (${megabytes(file.size)})`).join(", ")}.` : "",
  ];
  return { good: files.filter((file) => file.size > 0 && file.size <= maxBytes), words: words.filter(Boolean).join(" ") };
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
}

/** Our own page's markup, escaped by the server, and under the photo the name of its file. */
function markup(plate, file) {
  const holder = document.createElement("template");
  holder.innerHTML = plate;
  const name = document.createElement("p");
  name.className = "file";
  name.textContent = file;
  holder.content.querySelector(".photos").append(name);
  return holder.content;
}

/** What the form asks of an answer, besides the photos: names and values that are not empty. */
function wanted(form) {
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && value !== "" && name !== "together");
}

function acceptDrops(drop, take) {
  let depth = 0; // dragenter and dragleave come for each child
  const hasFiles = (event) => [...event.dataTransfer.types].includes("Files");
  window.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  window.addEventListener("dragenter", (event) => { if (hasFiles(event)) { depth += 1; drop.classList.add("over"); } });
  window.addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (depth === 0) drop.classList.remove("over"); });
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
}

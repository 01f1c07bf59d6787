// Sends the photos of one animal to POST /predict. Knows nothing of the page.

const TRIES_WHEN_BUSY = 5;
const LONGEST_WAIT_S = 30;

export class Refusal extends Error {
  constructor(status, title, detail, type = "") {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.type = type;
  }
}

/** A new Idempotency-Key: with the same one, an answer that got lost on the way back is not made twice. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Resolves to the answer of POST /predict. `fields`: pairs of name and value; `signal` aborts; `progress(share)` hears how much was sent. */
export async function identify(files, fields, key, { signal, progress, waiting }) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send(files, fields, key, signal, progress);
    if (response.status === 200) return JSON.parse(response.text);
    const busy = response.status === 429 || response.status === 503;
    if (!busy || attempt === TRIES_WHEN_BUSY) throw refusalOf(response);
    const seconds = Math.min(LONGEST_WAIT_S, Math.max(1, Number(response.retryAfter) || 1));
    waiting(seconds);
    await pause(seconds, signal);
  }
}

/** The markup of an answer: the same as on its own page. */
export async function fetchPlate(id, signal) {
  const response = await fetch(`/identifications/${encodeURIComponent(id)}?fragment=1`, {
    signal,
    headers: { Accept: "text/html" },
  });
  if (!response.ok) throw new Refusal(response.status, "The answer was saved but cannot be shown", "Open it under Identifications.");
  return response.text();
}

function send(files, fields, key, signal, progress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const file of files) form.append("image", file, file.name);
    for (const [name, value] of fields) form.append(name, value);
    const request = new XMLHttpRequest(); // fetch() cannot tell how much of a body was sent
    request.open("POST", "/predict");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () =>
      resolve({ status: request.status, text: request.responseText, retryAfter: request.getResponseHeader("Retry-After") }),
    );
    request.addEventListener("error", () =>
      reject(new Refusal(0, "The connection broke", "Check the network, then try again: no photo is identified twice.")),
    );
    request.addEventListener("abort", () => reject(new DOMException("Cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    if (signal.aborted) request.abort();
    request.send(form);
  });
}

function refusalOf({ status, text }) {
  try {
    const problem = JSON.parse(text);
    return new Refusal(status, problem.title, problem.detail, problem.type);
  } catch {
    return new Refusal(status, "The service did not answer as expected", `Status ${status}.`);
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(new DOMException("Cancelled", "AbortError"));
      },
      { once: true },
    );
  });
}

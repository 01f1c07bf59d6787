// Which answers this tab has had, so that the way back to the page, or loading it again, shows them again. Ids and the
// names of the files are kept, no answer: the service is asked anew for each, and decides anew who may see it.

const KEY = "answers";
const MOST = 50;

/** What is kept, as the page shows it from the top: `id` and `file`, the file's name. Storage can be switched off or
 *  hold anything: then there are none. */
export function remembered() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return Array.isArray(kept) ? kept.filter((each) => typeof each?.id === "string" && typeof each.file === "string") : [];
  } catch {
    return [];
  }
}

/** Keep an answer below the one with the id `above`; where there is no such one, at the top. */
export function remember(id, file, above) {
  const kept = remembered().filter((other) => other.id !== id);
  kept.splice(kept.findIndex((other) => other.id === above) + 1, 0, { id, file });
  write(kept.slice(0, MOST));
}

export function forget(id) {
  write(remembered().filter((other) => other.id !== id));
}

export function forgetAll() {
  write([]);
}

function write(kept) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // full or switched off: the answers are saved all the same, only not shown again here
  }
}

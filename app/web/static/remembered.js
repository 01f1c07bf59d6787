// Which answers this tab has had, so that the way back to the page, or loading it again, shows them again. Ids alone are
// kept: the service is asked anew for each, and decides anew whether this person may see it.

const KEY = "answers";
const MOST = 50;

/** Ids, the newest first. Storage can be switched off or hold anything: then there are none. */
export function remembered() {
  try {
    const ids = JSON.parse(sessionStorage.getItem(KEY));
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

export function remember(id) {
  write([id, ...remembered().filter((other) => other !== id)].slice(0, MOST));
}

export function forget(id) {
  write(remembered().filter((other) => other !== id));
}

export function forgetAll() {
  write([]);
}

function write(ids) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // full or switched off: the answers are saved all the same, only not shown again here
  }
}

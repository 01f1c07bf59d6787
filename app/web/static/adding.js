// Sends a bundle and shows how far it is. Without this file the form works all the same, only without a word meanwhile.

const form = document.querySelector("#adding");
const input = form.querySelector("input[type=file]");
const button = form.querySelector("button");
const shown = document.querySelector("#progress");
const bar = shown.querySelector("progress");
const words = shown.querySelector("#progress-words");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = input.files[0];
  const most = Number(form.dataset.maxBytes);
  if (file.size > most) {
    refuse("Too large", `${file.name} has ${megabytes(file.size)}; at most ${megabytes(most)} are taken here.`);
    return;
  }
  begin(file);
  const request = new XMLHttpRequest(); // fetch() cannot tell how much of a body was sent
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.responseType = "document";
  request.upload.addEventListener("progress", (sent) => {
    bar.value = sent.loaded / sent.total;
    words.textContent = `Sending: ${Math.floor((100 * sent.loaded) / sent.total)}% of ${megabytes(file.size)}`;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value"); // how long checking takes is not known
    words.textContent = "Sent. It is being checked now, which can take a minute.";
  });
  request.addEventListener("load", () => finish(request));
  request.addEventListener("error", () => {
    end();
    refuse("The connection broke", "Nothing was added. Check the network, then send the bundle again.");
  });
  request.send(new FormData(form));
});

function begin(file) {
  document.querySelector("#outcome").replaceChildren();
  button.disabled = true;
  shown.hidden = false;
  bar.value = 0;
  words.textContent = `Sending ${file.name}`;
}

function end() {
  button.disabled = false;
  shown.hidden = true;
}

function finish(request) {
  end();
  const outcome = request.response?.querySelector("#outcome");
  if (!outcome) {
    // A page of another kind: the login ended, say. The form that is sent without us leads there.
    const said = request.response?.querySelector("main p")?.textContent;
    refuse("Nothing was added", said || `The service answered with status ${request.status}.`);
    return;
  }
  if (request.status === 200) {
    form.reset();
    history.replaceState(null, "", request.responseURL);
    document.querySelector("#versions")?.replaceWith(request.response.querySelector("#versions"));
  }
  document.querySelector("#outcome").replaceWith(outcome);
  outcome.focus();
}

function refuse(title, detail) {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  const strong = document.createElement("strong");
  strong.textContent = title;
  const sentence = document.createElement("p");
  sentence.textContent = detail;
  notice.append(strong, sentence);
  document.querySelector("#outcome").replaceChildren(notice);
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

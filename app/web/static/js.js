// Runs before the first paint: what works only with JavaScript shows itself only where there is JavaScript.
document.documentElement.classList.add("js");

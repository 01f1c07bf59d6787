// Opens the browser's print dialogue for the plate on this page.
document.getElementById("print").addEventListener("click", () => window.print());

// Draws the figures that the page carries as JSON. Colours are names of CSS custom properties, looked up here.

const CONFIG = { responsive: true, displayModeBar: false, displaylogo: false };
const NARROW = 520;

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const canvases = [...document.querySelectorAll("[data-figure]")];

function property(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The figure with every "--name" replaced by that property's value. */
function coloured(value) {
  if (typeof value === "string") return value.startsWith("--") ? property(value) : value;
  if (Array.isArray(value)) return value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, coloured(part)]));
  return value;
}

function themed(layout, width) {
  const axis = {
    gridcolor: property("--rule"),
    linecolor: property("--rule-strong"),
    zerolinecolor: property("--rule-strong"),
    fixedrange: true,
    automargin: true,
  };
  const named = (given) => ({ ...axis, ...given, title: given.title ? { text: given.title, standoff: 10 } : undefined });
  return {
    ...layout,
    autosize: true,
    height: layout.height ?? 380,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: property("--sans"), size: width < NARROW ? 12 : 14, color: property("--ink") },
    hoverlabel: { bgcolor: property("--card"), bordercolor: property("--rule-strong"), font: { color: property("--ink"), size: 14 }, align: "left" },
    dragmode: false,
    xaxis: named(layout.xaxis),
    yaxis: named(layout.yaxis),
  };
}

async function draw(canvas) {
  const figure = coloured(JSON.parse(document.getElementById(canvas.dataset.figure).textContent));
  canvas.querySelector(".waiting")?.remove();
  await window.Plotly.react(canvas, figure.data, themed(figure.layout, canvas.clientWidth), CONFIG);
  canvas.dataset.drawn = "yes";
}

// A page with five plots draws the ones that are seen first.
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      observer.unobserve(entry.target);
      draw(entry.target);
    }
  },
  { rootMargin: "600px" },
);
for (const canvas of canvases) observer.observe(canvas);

function redraw() {
  for (const canvas of canvases) if (canvas.dataset.drawn) draw(canvas);
}
dark.addEventListener("change", redraw);
window.addEventListener("beforeprint", () => canvases.forEach(draw));

// Draws each figure at the width it has, in the page's colours; for print in light ones at the width of the paper.
const NARROW = 560, PAPER_WIDTH = 670;
const night = matchMedia("(prefers-color-scheme: dark)"), boxes = [...document.querySelectorAll(".plot")];
let printing = false;
function tinted(text) {
  const dark = night.matches && !printing;
  return JSON.parse(text, (key, value) => {
    const other = dark && typeof value === "string" && DARK[value.slice(0, 7)];
    return other ? other + value.slice(7) : value;
  });
}
function draw(box) {
  const width = printing ? PAPER_WIDTH : box.clientWidth;
  const { data, layout, narrow } = tinted(box.nextElementSibling.textContent);
  if (narrow && width < NARROW) {
    for (const [key, change] of Object.entries(narrow)) {
      layout[key] = typeof change === "object" ? { ...layout[key], ...change } : change;
    }
    if (narrow.bare) data.forEach((trace) => delete trace.texttemplate);
    delete layout.bare;
  }
  box.drawn = width;
  Plotly.react(box, data, { ...layout, width }, { displayModeBar: false });
}
const seen = new ResizeObserver((changes) => changes.forEach(({ target }) => {
  if (!printing && target.clientWidth && target.clientWidth !== target.drawn) draw(target);
}));
boxes.forEach((box) => { draw(box); seen.observe(box); });
night.addEventListener("change", () => boxes.forEach(draw));
addEventListener("beforeprint", () => { printing = true; boxes.forEach(draw); });
addEventListener("afterprint", () => { printing = false; boxes.forEach(draw); });
document.querySelectorAll(".save").forEach((button) => button.addEventListener("click", () => {
  const box = button.closest("figure").querySelector(".plot");
  Plotly.downloadImage(box, { format: "svg", filename: box.dataset.name, width: 900, height: box.clientHeight });
}));

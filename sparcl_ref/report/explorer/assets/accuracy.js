// Accuracy of each task over the moments so far: one line a task, its classes written at its end.

const DASHES = ["", "7 4", "2 3", "10 3 2 3", "5 2"];
const LINES = ["start", "earlier", "now"];

function drawAccuracy(panel, run, t) {
  const chart = panel.querySelector(".chart");
  const width = Math.max(160, chart.clientWidth);
  const height = Math.round(Math.min(280, Math.max(170, width * 0.62)));
  const edge = { left: 34, right: 46, top: 10, bottom: 22 };
  const x = (moment) => edge.left + (moment * (width - edge.left - edge.right)) / Math.max(1, run.length - 1);
  const y = (share) => edge.top + (1 - share) * (height - edge.top - edge.bottom);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    parts.push(shape("line", { x1: x(0), x2: x(run.length - 1), y1: y(share), y2: y(share), class: "grid" }));
    parts.push(written(edge.left - 6, y(share) + 4, `${100 * share}`, "end"));
  }
  for (const [task, start] of startsOf(run)) {
    parts.push(shape("line", { x1: x(start - 1), x2: x(start - 1), y1: y(1), y2: y(0), class: "grid" }));
    parts.push(written(x(start - 1) + 3, height - 6, width < 330 ? `${task}` : `task ${task}`, "start"));
  }
  parts.push(shape("line", { x1: x(t), x2: x(t), y1: edge.top, y2: y(0), class: "cursor" }));
  const seen = seenTasks(run, t);
  const labels = [];
  seen.forEach((task) => {
    const start = startsOf(run).get(run.learned[task]) - 1;
    const points = [];
    for (let moment = start; moment <= t; moment++) points.push(`${x(moment).toFixed(1)},${y(run.accuracy[moment][task]).toFixed(1)}`);
    const look = `stroke: var(--${LINES[task % LINES.length]}); stroke-dasharray: ${DASHES[task % DASHES.length]}`;
    parts.push(shape("polyline", { points: points.join(" "), style: look, class: run.learned[task] === run.moments[t][0] ? "line newest" : "line" }));
    labels.push({ at: y(run.accuracy[t][task]), text: taskName(run, task), task });
  });
  for (const label of apart(labels, 13, y(0))) parts.push(written(x(t) + 5, label.at + 4, label.text, "start", "label"));
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  svg.append(...parts);
  chart.replaceChildren(svg);
  const mean = seen.reduce((sum, task) => sum + run.accuracy[t][task], 0) / seen.length;
  panel.querySelector("h3").replaceChildren("Accuracy of each task ", element("small", {}, seen.length ? `mean so far ${percent(mean)}` : ""));
  chart.setAttribute("aria-label", accuracies(run, t));
}

function accuracyPanel(panel, run, page) {
  return { draw: () => drawAccuracy(panel, run, page.momentOf(run)) };
}

// Moves labels that would lie on each other apart, downwards, and up again where they would leave the chart.
function apart(labels, least, lowest) {
  const sorted = [...labels].sort((a, b) => a.at - b.at || a.task - b.task);
  for (let i = 1; i < sorted.length; i++) sorted[i].at = Math.max(sorted[i].at, sorted[i - 1].at + least);
  for (let i = sorted.length - 1, most = lowest; i >= 0; i--, most -= least) sorted[i].at = Math.min(sorted[i].at, most);
  return sorted;
}

// Task number to its first moment.
function startsOf(run) {
  const starts = new Map();
  run.moments.forEach(([task], moment) => task && !starts.has(task) && starts.set(task, moment));
  return starts;
}

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function written(x, y, text, anchor, kind = "") {
  const made = shape("text", { x, y, "text-anchor": anchor, class: kind });
  made.textContent = text;
  return made;
}

// Wires the page: one state, drawn by `show`, changed by controls, keys and the address.

const $ = (id) => document.getElementById(id);

// Browsers of before 2023 cannot unpack the recording; they have the table.
if (!("DecompressionStream" in window)) {
  document.documentElement.classList.add("still");
  return;
}
const record = await readRecord($("record").textContent);
const runs = record.runs;
let state = stateOf(location.hash, runs);
let timer = null;
let panels = [];

const layerOf = (run) => run.layers[Math.min(state.layer, run.layers.length - 1)];
// The same moment of the other run, which may have fewer epochs.
const momentOf = (run) => run.momentNamed(runs[state.run].nameOf(state.t));
// What panels need to know, and may do.
const page = { layerOf, momentOf, change, sprite: spriteOf(record.images), get state() { return state; } };
const shownRuns = () => [state.run, ...(state.beside >= 0 && state.beside !== state.run ? [state.beside] : [])].map((i) => runs[i]);

function show() {
  const run = runs[state.run];
  $("time").value = state.t;
  $("time").setAttribute("aria-valuetext", inWords(run, state.t));
  $("now").textContent = inWords(run, state.t);
  const [, other] = shownRuns();
  const beside = other ? ` Beside it, ${other.title}: ${accuracies(other, momentOf(other)) || "untrained"}.` : "";
  $("sentence").textContent = sentence(run, state.t, layerOf(run)) + beside;
  for (const [id, value] of [["run", run.key], ["beside", runs[state.beside]?.key ?? ""], ["layer", layerOf(run)?.name ?? ""]]) $(id).value = value;
  for (const key of Object.keys(CHOICES)) $(key).value = state[key];
  for (const button of document.querySelectorAll("[data-jump]")) button.disabled = nextMark(button.dataset.jump) < 0;
  for (const panel of panels) panel.draw();
  // Addresses may not change many times a second: while it plays, the address waits.
  if (!timer) history.replaceState(null, "", hashOf(state, runs));
}

function change(what) {
  Object.assign(state, what);
  show();
}

// Builds the panels anew: another run, another layer, another number of runs.
function build() {
  const run = runs[state.run];
  $("time").max = run.length - 1;
  document.title = $("title").textContent = `${run.title}, epoch by epoch`;
  $("layer").replaceChildren(...run.layers.map((layer) => element("option", { value: layer.name }, layer.name)));
  $("beside").replaceChildren(
    element("option", { value: "" }, "no other"),
    ...runs.filter((each) => each !== run).map((each) => element("option", { value: each.key }, each.title)),
  );
  drawTicks(run);
  const shown = shownRuns();
  $("runs").replaceChildren();
  $("runs").classList.toggle("two", shown.length > 1);
  panels = shown.flatMap(panelsOf);
  show();
}

// The panels of a run; each draws itself as the page's state says.
function panelsOf(run) {
  $("runs").append($("panels").content.cloneNode(true));
  const root = $("runs").lastElementChild;
  root.querySelector(".name").textContent = run.title;
  const kinds = { weights: weightsPanel, buffer: bufferPanel, accuracy: accuracyPanel, images: imagesPanel };
  return Object.entries(kinds).map(([name, panel]) => panel(root.querySelector(`.${name}`), run, page));
}

// Ticks stand where the slider's knob stands, whose centre keeps half its width from the ends.
function drawTicks(run) {
  const at = (moment) => `left: calc(9px + (100% - 18px) * ${moment / (run.length - 1)})`;
  const ticks = run.marks.adjustments.map((t) => element("i", { class: "adjustment", style: at(t) }));
  ticks.push(...run.marks.removals.map((t) => element("i", { class: "removal", style: at(t) })));
  for (const [task, start] of startsOf(run)) {
    const own = [...run.classes.keys()].filter((each) => run.learned[each] === task);
    const classes = [...new Set(own.flatMap((each) => run.classes[each]))];
    const label = element("span", { style: at(start - 0.5) }, element("b", {}, `task ${task}: `), classNames(classes));
    ticks.push(element("i", { class: "task", style: at(start - 0.5) }), label);
  }
  $("ticks").replaceChildren(...ticks);
}

// The moment a jump leads to, -1 for none.
function nextMark(kind) {
  const marks = runs[state.run].marks;
  if (kind === "forgetting") return marks.forgetting ?? -1;
  return marks[kind].find((moment) => moment > state.t) ?? -1;
}

function step(by) {
  change({ t: Math.min(runs[state.run].length - 1, Math.max(0, state.t + by)) });
}

function stepTask(by) {
  const starts = [0, ...startsOf(runs[state.run]).values(), runs[state.run].length - 1];
  const there = by > 0 ? starts.find((start) => start > state.t) : starts.findLast((start) => start < state.t);
  change({ t: there ?? state.t });
}

function play(on) {
  clearInterval(timer);
  timer = null;
  if (on && state.t === runs[state.run].length - 1) state.t = 0;
  const tick = () => (state.t < runs[state.run].length - 1 ? step(1) : play(false));
  if (on) timer = setInterval(tick, Number($("speed").value));
  $("play").textContent = on ? "Pause" : "Play";
  // A voice that reads every epoch of a play would never end.
  $("sentence").setAttribute("aria-live", on ? "off" : "polite");
  show();
}

$("run").append(...runs.map((run) => element("option", { value: run.key }, run.title)));
$("play").onclick = () => play(!timer);
$("time").oninput = (event) => change({ t: Number(event.target.value) });
$("run").onchange = (event) => {
  const name = runs[state.run].nameOf(state.t);
  state.run = runs.findIndex((run) => run.key === event.target.value);
  if (state.beside === state.run) state.beside = -1;
  state.layer = Math.min(state.layer, runs[state.run].layers.length - 1);
  state.t = runs[state.run].momentNamed(name);
  build();
};
$("beside").onchange = (event) => {
  state.beside = runs.findIndex((run) => run.key === event.target.value);
  build();
};
$("layer").onchange = (event) => change({ layer: runs[state.run].layers.findIndex((layer) => layer.name === event.target.value), weight: -1 });
for (const key of Object.keys(CHOICES)) $(key).onchange = (event) => change({ [key]: event.target.value });
$("more").onclick = () => $("more").setAttribute("aria-expanded", $("choices").classList.toggle("all"));
$("speed").onchange = () => timer && play(true);
for (const button of document.querySelectorAll("[data-jump]")) button.onclick = () => change({ t: nextMark(button.dataset.jump) });

addEventListener("keydown", (event) => {
  const where = event.target.tagName;
  if (event.altKey || event.ctrlKey || event.metaKey || where === "SELECT") return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) event.shiftKey ? stepTask(by) : step(by);
  else if (event.key === "Home") step(-Infinity);
  else if (event.key === "End") step(Infinity);
  else if (event.key === " " && !["BUTTON", "SUMMARY", "A"].includes(where)) play(!timer);
  else return;
  event.preventDefault();
});
addEventListener("hashchange", () => {
  state = stateOf(location.hash, runs);
  build();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  page.sprite = spriteOf(record.images);
  show();
});
new ResizeObserver(() => show()).observe($("runs"));

$("table").open = false;
build();
document.documentElement.dataset.ready = "yes";
// For the curious, in the browser's console.
window.explorer = { record, get state() { return state; } };

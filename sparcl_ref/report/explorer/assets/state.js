// What the page shows, and how its address says so: #t=3.2&run=static&beside=full-head&layer=conv3&w=2051 and so on.
// What stands at its default is left out, but for the moment.

const CHOICES = {
  colour: ["birth", "importance", "gradient"],
  order: ["position", "birth"],
  images: ["file", "mistakes"],
};

function stateOf(hash, runs) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const named = (key) => runs.findIndex((run) => run.key === given.get(key));
  const state = { run: Math.max(0, named("run")), beside: named("beside") };
  const run = runs[state.run];
  state.t = run.momentNamed(given.get("t") ?? "0");
  const layer = run.layers.findIndex((each) => each.name === given.get("layer"));
  state.layer = layer < 0 ? run.layers.length - 1 : layer;
  for (const [key, values] of Object.entries(CHOICES)) state[key] = values.includes(given.get(key)) ? given.get(key) : values[0];
  const weight = /^\d+$/.test(given.get("w") ?? "") ? Number(given.get("w")) : -1;
  state.weight = weight < (run.layers[state.layer]?.count ?? 0) ? weight : -1;
  return state;
}

function hashOf(state, runs) {
  const run = runs[state.run];
  const parts = [["t", run.nameOf(state.t)]];
  if (state.run > 0) parts.push(["run", run.key]);
  if (state.beside >= 0) parts.push(["beside", runs[state.beside].key]);
  if (state.layer >= 0 && state.layer !== run.layers.length - 1) parts.push(["layer", run.layers[state.layer].name]);
  for (const [key, values] of Object.entries(CHOICES)) if (state[key] !== values[0]) parts.push([key, state[key]]);
  if (state.weight >= 0) parts.push(["w", String(state.weight)]);
  return "#" + new URLSearchParams(parts);
}

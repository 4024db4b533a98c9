// The layer's weights: in their places, or by birth over time.

const RASTER_ROWS = 160;

// A weight's kind at a moment, 0 for dead, and what the kinds of a way to colour are called.
const KINDS = {
  birth: {
    names: ["since the start", "joined earlier", "joined now", "silenced"],
    colours: ["start", "earlier", "now", "silenced"],
    of: (layer, t, i) => (layer.get("silenced")[i] ? 4 : layer.get("birth")[i] === 0 ? 1 : layer.get("birth")[i] < t ? 2 : 3),
  },
  importance: {
    names: ["lowest quarter", "second", "third", "highest"],
    colours: ["heat1", "heat2", "heat3", "heat4"],
    of: (layer, t, i) => 1 + layer.get("importance")[i],
  },
  gradient: {
    names: ["lowest quarter", "second", "third", "highest", "silenced"],
    colours: ["warm1", "warm2", "warm3", "warm4", "silenced"],
    of: (layer, t, i) => (layer.get("silenced")[i] ? 5 : 1 + layer.get("gradient")[i]),
  },
};

function kindOf(layer, t, k, way) {
  const i = t * layer.count + k;
  return layer.get("alive")[i] ? KINDS[way].of(layer, t, i) : 0;
}

function drawCells(canvas, columns, rows, kindAt, way) {
  canvas.width = columns;
  canvas.height = rows;
  canvas.style.aspectRatio = "";
  const colours = ["dead", ...KINDS[way].colours].map((name) => channels(colour(name)));
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  for (let cell = 0; cell < columns * rows; cell++) {
    const kind = kindAt(cell);
    if (kind >= 0) picture.data.set([...colours[kind], 255], 4 * cell);
  }
  context.putImageData(picture, 0, 0);
}

// An even sample of all that ever lived, top to bottom.
function rasterRows(layer) {
  const lives = layer.get("lives");
  const rows = Math.min(RASTER_ROWS, lives.length);
  return Array.from({ length: rows }, (_, row) => lives[Math.round((row * (lives.length - 1)) / Math.max(1, rows - 1))]);
}

function drawWeights(panel, run, layer, t, state) {
  const canvas = panel.querySelector("canvas");
  const now = `${number(layer.living[t])} of ${number(layer.size)} live`;
  const silent = layer.silent[t] ? `, ${number(layer.silent[t])} silenced` : "";
  panel.querySelector("h3").replaceChildren(`Weights of ${layer.name} `, element("small", {}, now + silent));
  if (state.order === "birth") {
    const rows = rasterRows(layer);
    drawCells(canvas, run.length, rows.length, (cell) => {
      const when = cell % run.length;
      return when > t ? -1 : kindOf(layer, when, rows[Math.floor(cell / run.length)], state.colour);
    }, state.colour);
    canvas.setAttribute("aria-label", `${rows.length} weights from top to bottom by birth, the moments from left to right`);
  } else {
    drawCells(canvas, layer.columns, layer.rows, (k) => kindOf(layer, t, k, state.colour), state.colour);
    const counts = `${number(layer.living[t])} living weights of ${number(layer.size)}`;
    canvas.setAttribute("aria-label", `${counts}, each in its place; arrow keys pick one`);
  }
  canvas.classList.toggle("over-time", state.order === "birth");
  const { names, colours } = KINDS[state.colour];
  const entries = names.map((name, index) => element("span", { style: `--swatch: var(--${colours[index]})` }, name));
  panel.querySelector(".key").replaceChildren(...entries);
}

// The life of one weight in words and as a strip of moments.
function tellWeight(panel, run, layer, t, k, way) {
  const words = panel.querySelector(".pick");
  const strip = panel.querySelector(".life");
  strip.replaceChildren();
  words.classList.toggle("told", k >= 0);
  if (k < 0) {
    words.textContent = "Point at a weight to see its life.";
    return;
  }
  const [output, input, r, c] = layer.whereIs(k);
  const kernel = layer.shape.length > 2 ? `, row ${r}, column ${c}` : "";
  const birth = layer.get("birth")[t * layer.count + k];
  const since = birth < 0 ? "dead" : birth === 0 ? "lives since the start" : `lives since ${inWords(run, birth)}`;
  const silent = layer.get("silenced")[t * layer.count + k] ? ", silenced" : "";
  words.textContent = `Output ${output}, input ${input}${kernel}: ${since}${silent}.`;
  for (let when = 0; when < run.length; when++) {
    const kind = when > t ? 0 : kindOf(layer, when, k, way);
    const name = kind ? KINDS[way].colours[kind - 1] : "dead";
    strip.append(element("i", { style: `background: var(--${name})`, ...(when === t ? { class: "here" } : {}) }));
  }
}

function weightsPanel(panel, run, page) {
  let looked = -1;
  const canvas = panel.querySelector("canvas");
  const overTime = () => page.state.order === "birth";
  const shape = () => {
    const layer = page.layerOf(run);
    const [columns, rows] = overTime() ? [run.length, rasterRows(layer).length] : [layer.columns, layer.rows];
    return [columns, rows, columns * rows];
  };
  // The weight in a cell, and the cell in which a weight is to be seen now; -1 for none.
  const weightAt = (cell) => (cell < 0 || !overTime() ? cell : rasterRows(page.layerOf(run))[Math.floor(cell / run.length)]);
  const cellOf = (weight, t) => {
    if (weight < 0 || !overTime()) return weight;
    const row = rasterRows(page.layerOf(run)).indexOf(weight);
    return row < 0 ? -1 : row * run.length + t;
  };
  const tell = () => {
    const [layer, t, kept] = [page.layerOf(run), page.momentOf(run), page.state.weight];
    const [columns, rows] = shape();
    markCell(panel.querySelector(".mark"), looked < 0 ? cellOf(kept, t) : looked, columns, rows);
    tellWeight(panel, run, layer, t, looked < 0 ? kept : weightAt(looked), page.state.colour);
  };
  const look = (cell) => {
    looked = cell;
    tell();
  };
  const keep = (cell) => {
    const weight = weightAt(cell);
    page.change({ weight: weight === page.state.weight ? -1 : weight });
  };
  panel.hidden = !page.layerOf(run);
  if (!panel.hidden) pickable(canvas, shape, look, keep);
  const draw = () => {
    if (panel.hidden) return;
    drawWeights(panel, run, page.layerOf(run), page.momentOf(run), page.state);
    tell();
  };
  return { draw };
}

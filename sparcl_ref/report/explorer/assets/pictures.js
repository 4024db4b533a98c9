// What all pictures share: colours of the page, samples drawn small, and picking a cell by mouse, finger or keys.

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

// All samples beside each other on one canvas, in the page's colours, to be copied from.
function spriteOf(images) {
  const { count, height, width, channels: planes, pixels } = images;
  const across = Math.ceil(Math.sqrt(count));
  const canvas = document.createElement("canvas");
  canvas.width = across * width;
  canvas.height = Math.ceil(count / across) * height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const ink = channels(colour("ink"));
  for (let image = 0; image < count; image++)
    for (let r = 0; r < height; r++)
      for (let c = 0; c < width; c++) {
        const to = 4 * ((Math.floor(image / across) * height + r) * canvas.width + (image % across) * width + c);
        const from = (plane) => pixels[((image * planes + plane) * height + r) * width + c];
        // Grey images are ink of more or less weight, so that they are at home on light and dark pages.
        const rgba = planes === 3 ? [from(0), from(1), from(2), 255] : [...ink, from(0)];
        picture.data.set(rgba, to);
      }
  context.putImageData(picture, 0, 0);
  const draw = (target, image, x, y, size) =>
    target.drawImage(canvas, (image % across) * width, Math.floor(image / across) * height, width, height, x, y, size, size);
  return { draw };
}

// A canvas of square tiles, sharp on the screen's own pixels; returns its context and the tile's side in them.
function tiled(canvas, columns, rows) {
  const shown = canvas.clientWidth || 320;
  const side = Math.max(4, Math.round((shown * Math.min(2, devicePixelRatio || 1)) / columns));
  canvas.width = columns * side;
  canvas.height = rows * side;
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  return [context, side];
}

// Lets a reader point at the cells of a canvas. `shape()` is [columns, rows, cells]; `look(cell)` is told of the cell
// under the pointer or the keys, -1 for none, `keep(cell)` of one that is clicked or entered, -1 for none.
function pickable(canvas, shape, look, keep = () => {}) {
  let at = -1;
  const to = (cell) => look((at = cell));
  const under = (event) => {
    const [columns, rows, cells] = shape();
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const cell = row * columns + column;
    return column >= 0 && column < columns && row >= 0 && cell < cells ? cell : -1;
  };
  canvas.addEventListener("pointermove", (event) => to(under(event)));
  canvas.addEventListener("pointerleave", () => to(-1));
  // A finger leaves before it clicks.
  canvas.addEventListener("click", (event) => {
    to(under(event));
    keep(at);
  });
  canvas.addEventListener("blur", () => to(-1));
  canvas.addEventListener("keydown", (event) => {
    const [columns, , cells] = shape();
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (move) to(at < 0 ? 0 : Math.min(cells - 1, Math.max(0, at + move)));
    else if (event.key === "Enter") keep(at);
    else if (event.key === "Escape") {
      to(-1);
      keep(-1);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// Frames one cell of a picture, or none.
function markCell(mark, cell, columns, rows) {
  mark.hidden = cell < 0;
  if (cell < 0) return;
  mark.style.left = `${(100 * (cell % columns)) / columns}%`;
  mark.style.top = `${(100 * Math.floor(cell / columns)) / rows}%`;
  mark.style.width = `${100 / columns}%`;
  mark.style.height = `${100 / rows}%`;
}

function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

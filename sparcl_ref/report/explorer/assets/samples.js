// Samples: those in the buffer, and the training images of the task.

function bufferOrder(run, t) {
  const slots = [...run.buffer(t).entries()].filter(([, image]) => image >= 0);
  const labels = run.images.labels;
  return slots.sort(([a, p], [b, q]) => labels[p] - labels[q] || a - b);
}

const bufferColumns = (run) => Math.max(1, Math.ceil(Math.sqrt(run.capacity)));

function drawBuffer(panel, run, t, sprite) {
  const order = bufferOrder(run, t);
  const before = t > 0 ? run.buffer(t - 1) : [];
  const columns = bufferColumns(run);
  const canvas = panel.querySelector("canvas");
  const [context, side] = tiled(canvas, columns, Math.max(1, Math.ceil(run.capacity / columns)));
  context.strokeStyle = colour("faint");
  for (let cell = order.length; cell < run.capacity; cell++)
    context.strokeRect((cell % columns) * side + 1.5, Math.floor(cell / columns) * side + 1.5, side - 3, side - 3);
  let removed = 0;
  order.forEach(([slot, image], cell) => {
    const [x, y] = [(cell % columns) * side, Math.floor(cell / columns) * side];
    const gone = run.isGone(t, image);
    removed += gone;
    context.globalAlpha = gone ? 0.55 : 1;
    sprite.draw(context, image, x + side * 0.12, y + side * 0.12, side * 0.76);
    context.globalAlpha = 1;
    if (before[slot] !== image) framed(context, x, y, side);
    if (gone) crossed(context, x, y, side);
  });
  const filled = `${order.length} of ${run.capacity} slots`;
  const ghosts = removed ? `, ${removed} of removed images` : "";
  panel.querySelector("h3").replaceChildren("Buffer ", element("small", {}, run.capacity ? filled + ghosts : "none"));
  canvas.setAttribute("aria-label", `${filled} filled${ghosts}; arrow keys pick one`);
}

function imageOrder(run, t, by) {
  const members = run.members(t);
  if (by === "file") return members;
  const stage = (image) => run.mistakes(t, image).at(-1) ?? 0;
  const counts = new Map(members.map((image) => [image, stage(image)]));
  return members.sort((a, b) => counts.get(b) - counts.get(a) || a - b);
}

const imageColumns = (count) => Math.max(1, Math.ceil(Math.sqrt(count * 2)));

function drawImages(panel, run, t, sprite, by) {
  const order = imageOrder(run, t, by);
  const columns = imageColumns(order.length);
  const canvas = panel.querySelector("canvas");
  const [context, side] = tiled(canvas, columns, Math.max(1, Math.ceil(order.length / columns)));
  order.forEach((image, cell) => {
    const [x, y] = [(cell % columns) * side, Math.floor(cell / columns) * side];
    const gone = run.isGone(t, image);
    const now = gone && !run.isGone(t - 1, image);
    context.globalAlpha = gone && !now ? 0.16 : 1;
    sprite.draw(context, image, x + side * 0.08, y + side * 0.08, side * 0.84);
    context.globalAlpha = 1;
    if (now) framed(context, x, y, side);
  });
  const task = Math.max(1, run.moments[t][0]);
  const left = `${run.left[t]} of ${run.samples[task - 1]} left`;
  panel.querySelector("h3").replaceChildren(`Training images of task ${task} `, element("small", {}, left));
  canvas.setAttribute("aria-label", `Training images of task ${task}, ${left}; arrow keys pick one`);
}

// A sample in words, which begin with `first`.
function tellSample(run, t, image, first) {
  const place = `image ${run.images.index[image]} of the file`;
  const stages = run.mistakes(t, image);
  const counts = stages.length ? `wrong ${stages.join(", ")} times in its stages of ${run.deltaK} epochs` : "not trained on yet";
  const gone = run.isGone(t, image) ? "; removed" : "";
  return `${first} ${run.images.labels[image]}, ${place}: ${counts}${gone}.`;
}

function framed(context, x, y, side) {
  context.strokeStyle = colour("now");
  context.lineWidth = Math.max(1, side / 16);
  const inset = context.lineWidth / 2;
  context.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset);
}

function crossed(context, x, y, side) {
  const size = side * 0.26;
  const [right, bottom] = [x + side * 0.94, y + side * 0.94];
  context.strokeStyle = colour("muted");
  context.lineWidth = Math.max(1, side / 20);
  context.beginPath();
  context.moveTo(right - size, bottom - size);
  context.lineTo(right, bottom);
  context.moveTo(right, bottom - size);
  context.lineTo(right - size, bottom);
  context.stroke();
}

// A panel of samples: `order(t)` lists what is in its cells, as [image, how words on it begin].
function samplesPanel(panel, run, page, columnsOf, order, drawPictures) {
  let looked = -1;
  const shape = () => {
    const count = order(page.momentOf(run)).length;
    const columns = columnsOf(count);
    return [columns, Math.ceil(count / columns), count];
  };
  const tell = () => {
    const t = page.momentOf(run);
    const [image, first] = order(t)[looked] ?? [-1];
    const canvas = panel.querySelector("canvas");
    const columns = shape()[0];
    // The picture may have more rows than are filled.
    markCell(panel.querySelector(".mark"), image < 0 ? -1 : looked, columns, Math.round((canvas.height * columns) / canvas.width));
    const words = panel.querySelector(".pick");
    words.classList.toggle("told", image >= 0);
    words.textContent = image < 0 ? "Point at an image to see its mistakes." : tellSample(run, t, image, first);
  };
  pickable(panel.querySelector("canvas"), shape, (cell) => {
    looked = cell;
    tell();
  });
  const draw = () => {
    drawPictures(page.momentOf(run));
    tell();
  };
  return { draw };
}

function bufferPanel(panel, run, page) {
  const order = (t) => bufferOrder(run, t).map(([slot, image]) => [image, `Slot ${slot}: a`]);
  return samplesPanel(panel, run, page, () => bufferColumns(run), order, (t) => drawBuffer(panel, run, t, page.sprite));
}

function imagesPanel(panel, run, page) {
  const order = (t) => imageOrder(run, t, page.state.images).map((image) => [image, "A"]);
  const drawPictures = (t) => drawImages(panel, run, t, page.sprite, page.state.images);
  return samplesPanel(panel, run, page, imageColumns, order, drawPictures);
}

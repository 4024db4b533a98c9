// The recording: reads the bytes that packing.py wrote, and answers what was where at which moment.

async function readRecord(base64) {
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const content = new Uint8Array(await new Response(inflated).arrayBuffer());
  const behind = 4 + new DataView(content.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(content.subarray(4, behind)));
  const section = (name) => {
    const [start, length] = header.sections[name];
    return content.subarray(behind + start, behind + start + length);
  };
  const images = { ...header.images, pixels: section("images"), labels: numbersOf(section("labels"), 1, header.images.count) };
  return { images, runs: header.runs.map((about, number) => new Run(about, number, images, section)) };
}

// Each moment was stored as its difference from the one before: undo that.
function undone(bytes, moments) {
  const rows = bytes.slice();
  const length = rows.length / moments;
  for (let i = length; i < rows.length; i++) rows[i] ^= rows[i - length];
  return rows;
}

// Truth values of each moment, one after the other, as 0 and 1.
function flagsOf(bytes, moments, count) {
  const rows = undone(bytes, moments);
  const length = Math.ceil(count / 8);
  const flags = new Uint8Array(moments * count);
  for (let t = 0; t < moments; t++)
    for (let k = 0; k < count; k++) flags[t * count + k] = (rows[t * length + (k >> 3)] >> (7 - (k & 7))) & 1;
  return flags;
}

// Whole numbers of each moment, -1 for none.
function numbersOf(bytes, moments, count) {
  const rows = undone(bytes, moments);
  const numbers = new Int32Array(moments * count);
  for (let i = 0; i < numbers.length; i++) {
    const stored = rows[2 * i] | (rows[2 * i + 1] << 8);
    numbers[i] = stored === 0xffff ? -1 : stored;
  }
  return numbers;
}

// Small numbers of the living entries alone, 0 for all others.
function livingOf(bytes, alive, bits) {
  const values = new Uint8Array(alive.length);
  const most = (1 << bits) - 1;
  let place = 0;
  for (let i = 0; i < alive.length; i++) {
    if (!alive[i]) continue;
    values[i] = (bytes[place >> 3] >> (8 - bits - (place & 7))) & most;
    place += bits;
  }
  return values;
}

class Run {
  constructor(about, number, images, section) {
    Object.assign(this, about);
    this.images = images;
    this.section = (name) => section(`${number}/${name}`);
    this.length = this.moments.length;
    this.slots = numbersOf(this.section("slots"), this.length, this.capacity);
    this.wrong = flagsOf(this.section("wrong"), this.length, images.count);
    this.gone = flagsOf(this.section("gone"), this.length, images.count);
    this.taskOf = this.section("tasks");
    this.layers = about.layers.map((layer, index) => new LayerOf(layer, index, this));
  }

  // The moment of this name, such as "3.2"; the last one before it if there is none, and the first for nonsense.
  momentNamed(name) {
    const [task = 0, epoch = 0] = String(name).split(".").map(Number);
    const later = this.moments.findIndex(([t, e]) => t > task || (t === task && e > epoch));
    return later < 0 ? (task > 0 ? this.length - 1 : 0) : Math.max(0, later - 1);
  }

  nameOf(t) {
    const [task, epoch] = this.moments[t];
    return task ? `${task}.${epoch}` : "0";
  }

  // What is in the buffer, slot by slot: a number among the images that are kept, or -1.
  buffer(t) {
    return this.slots.subarray(t * this.capacity, (t + 1) * this.capacity);
  }

  isGone(t, image) {
    return t >= 0 && this.gone[t * this.images.count + image] === 1;
  }

  // Images of the task being learned; before training those of the first.
  members(t) {
    const task = Math.max(1, this.moments[t][0]);
    return [...this.taskOf.keys()].filter((image) => this.taskOf[image] === task);
  }

  // How often an image was wrong in each stage of its own task so far, the current stage last.
  mistakes(t, image) {
    const stages = [];
    for (let i = 1; i <= t; i++) {
      const [task, epoch] = this.moments[i];
      if (task !== this.taskOf[image]) continue;
      const stage = Math.ceil(epoch / this.deltaK) - 1;
      stages[stage] = (stages[stage] ?? 0) + this.wrong[i * this.images.count + image];
    }
    return stages;
  }
}

// One layer; what takes time is computed when it is first asked for.
class LayerOf {
  constructor(about, index, run) {
    Object.assign(this, about);
    [this.rows, this.columns] = about.grid;
    this.count = this.rows * this.columns;
    this.run = run;
    this.section = (name) => run.section(`${index}/${name}`);
  }

  get(name) {
    return (this[`_${name}`] ??= this[`make_${name}`]());
  }

  make_alive() {
    return flagsOf(this.section("alive"), this.run.length, this.count);
  }
  make_joined() {
    return flagsOf(this.section("joined"), this.run.length, this.count);
  }
  make_silenced() {
    return livingOf(this.section("silenced"), this.get("alive"), 1);
  }
  make_importance() {
    return livingOf(this.section("importance"), this.get("alive"), 2);
  }
  make_gradient() {
    return livingOf(this.section("gradient"), this.get("alive"), 2);
  }

  // Since which moment a weight has lived, -1 where it is dead.
  make_birth() {
    const alive = this.get("alive");
    const joined = this.get("joined");
    const birth = new Int16Array(alive.length).fill(-1);
    for (let i = 0; i < alive.length; i++) {
      if (!alive[i]) continue;
      const before = i < this.count ? -1 : birth[i - this.count];
      birth[i] = joined[i] || before < 0 ? Math.floor(i / this.count) : before;
    }
    return birth;
  }

  // All that ever lived: by the moment they first lived, then those that lived longest.
  make_lives() {
    const alive = this.get("alive");
    const first = new Int16Array(this.count).fill(-1);
    const lived = new Int16Array(this.count);
    for (let i = 0; i < alive.length; i++) {
      if (!alive[i]) continue;
      const k = i % this.count;
      if (first[k] < 0) first[k] = Math.floor(i / this.count);
      lived[k]++;
    }
    return [...first.keys()].filter((k) => first[k] >= 0).sort((a, b) => first[a] - first[b] || lived[b] - lived[a] || a - b);
  }

  // Where a weight stands in the layer: output, input, and row and column of the kernel.
  whereIs(place) {
    const [, , height = 1, ...rest] = this.shape;
    const width = rest.reduce((a, b) => a * b, 1);
    const [row, column] = [Math.floor(place / this.columns), place % this.columns];
    return [Math.floor(row / height), Math.floor(column / width), row % height, column % width];
  }
}

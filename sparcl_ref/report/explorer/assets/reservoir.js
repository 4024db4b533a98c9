// The reservoir: sample i, from 0, fills slot i while there is room; then a number is drawn in 0..i, and if it is a slot,
// the sample goes there. State in the address: #n=7&k=3&seed=1&off=1.

const $ = (id) => document.getElementById(id);
const MOST = 60;
let state = {};

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const whole = (key, least, most, otherwise) => {
    const value = Number(given.get(key) ?? otherwise);
    return Number.isInteger(value) ? Math.min(most, Math.max(least, value)) : otherwise;
  };
  state = { n: whole("n", 0, MOST, 0), k: whole("k", 1, 8, 3), seed: whole("seed", 1, 1e9, 1), off: given.get("off") === "1" };
  show();
}

// The same numbers for the same seed (mulberry32).
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let z = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

// Everything up to sample n: who is in which slot, the last draw, and each sample's probability of being inside.
function history({ n, k, seed, off }) {
  const random = generator(seed);
  const [slots, likely] = [[], []];
  let draw = null;
  for (let i = 0; i < n; i++) {
    const numbers = i < k ? null : off ? i : i + 1;
    draw = numbers === null ? i : Math.floor(random() * numbers);
    if (draw < k) slots[draw] = i;
    // Whoever is inside is overwritten by one draw of all.
    if (numbers !== null) for (let j = 0; j < i; j++) likely[j] *= 1 - 1 / numbers;
    likely.push(numbers === null ? 1 : Math.min(1, k / numbers));
  }
  return { slots, likely, draw };
}

function show() {
  const { n, k, off } = state;
  const { slots, likely, draw } = history(state);
  const before = n ? history({ ...state, n: n - 1 }).slots : [];
  $("capacity").value = k;
  $("off").checked = off;
  $("next").disabled = $("ten").disabled = n >= MOST;
  const slot = (_, s) => {
    const box = document.createElement("b");
    box.textContent = slots[s] ?? "–";
    box.className = slots[s] === undefined ? "empty" : slots[s] === n - 1 ? "new" : "";
    return box;
  };
  $("slots").replaceChildren(...Array.from({ length: k }, slot));
  // The scale halves when all bars are short.
  const highest = Math.max(0, ...likely);
  const top = [0.0625, 0.125, 0.25, 0.5].find((share) => highest <= share) ?? 1;
  $("top").textContent = `${100 * top} %`;
  const part = (name, j, text) => {
    const made = document.createElement(name);
    made.className = j === n - 1 && slots.includes(j) ? "new" : slots.includes(j) ? "inside" : "";
    if (name === "i") made.style.height = `${(100 * likely[j]) / top}%`;
    made.textContent = text;
    return made;
  };
  $("bars").replaceChildren(...likely.map((_, j) => part("i", j, "")));
  $("names").replaceChildren(...likely.map((_, j) => part("span", j, n <= 24 || j % 10 === 0 ? j : "")));
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const [least, most] = [Math.min(...likely), Math.max(...likely)];
  const odds = n === 0 ? "" : most - least < 1e-9 ? `Every sample so far is inside with a probability of ${percent(most)}.` : `Probabilities go from ${percent(least)} to ${percent(most)}: not fair.`;
  $("bars").setAttribute("aria-label", odds || "No samples yet");
  const last = n - 1;
  const drawn = last < k ? `fills slot ${last}` : draw < k ? `draws ${draw} of 0 to ${off ? last - 1 : last} and takes slot ${draw} from sample ${before[draw]}` : `draws ${draw} of 0 to ${off ? last - 1 : last}, which is no slot: it is not kept`;
  $("sentence").textContent = n ? `Sample ${last} ${drawn}. ${odds}` : "Nothing has arrived yet.";
  const address = new URLSearchParams({ n, k, seed: state.seed, ...(off ? { off: 1 } : {}) });
  window.history.replaceState(null, "", `#${address}`);
}

function change(what) {
  Object.assign(state, what);
  show();
}

$("next").onclick = () => change({ n: Math.min(MOST, state.n + 1) });
$("ten").onclick = () => change({ n: Math.min(MOST, state.n + 10) });
$("again").onclick = () => change({ n: 0, seed: state.seed + 1 });
$("capacity").onchange = (event) => change({ k: Math.min(8, Math.max(1, Math.round(event.target.valueAsNumber) || 1)), n: 0 });
$("off").onchange = (event) => change({ off: event.target.checked });
addEventListener("hashchange", fromAddress);
fromAddress();

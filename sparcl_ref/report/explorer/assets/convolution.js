// A convolution forward and backward in whole numbers. State in the address: #y=1.0, #x=2.1 or #w=0.2.

const $ = (id) => document.getElementById(id);
const X = [[1, 0, 2, 1], [3, 1, 0, 2], [0, 2, 1, 1], [1, 3, 2, 0]];
const W = [[1, -1, 0], [2, 0, 1], [-1, 1, 2]];
const DY = [[1, -2], [3, 1]];
const places = [0, 1].flatMap((r) => [0, 1].map((c) => [r, c]));
const kernel = [0, 1, 2].flatMap((r) => [0, 1, 2].map((c) => [r, c]));

// What a number is made of: [cells used, by grid] and the products, as pairs of factors.
const made = {
  y: (r, c) => kernel.map(([i, j]) => ({ x: [r + i, c + j], w: [i, j], product: [W[i][j], X[r + i][c + j]] })),
  x: (r, c) => places.filter(([i, j]) => W[r - i]?.[c - j] !== undefined).map(([i, j]) => ({ y: [i, j], w: [r - i, c - j], product: [DY[i][j], W[r - i][c - j]] })),
  w: (i, j) => places.map(([r, c]) => ({ y: [r, c], x: [r + i, c + j], product: [DY[r][c], X[r + i][c + j]] })),
};
const total = (parts) => parts.reduce((sum, { product: [a, b] }) => sum + a * b, 0);
const sizes = { x: 4, w: 3, y: 2 };
const shown = { x: (r, c) => [X[r][c], total(made.x(r, c))], w: (r, c) => [W[r][c], total(made.w(r, c))], y: (r, c) => [total(made.y(r, c)), DY[r][c]] };
const cell = (grid, [r, c]) => $(grid).children[r * sizes[grid] + c];

function ask(grid, r, c) {
  for (const button of document.querySelectorAll(".grid button")) button.className = "";
  cell(grid, [r, c]).className = "asked";
  const parts = made[grid](r, c);
  for (const part of parts) for (const other of ["x", "w", "y"]) if (part[other]) cell(other, part[other]).className = "used";
  const name = { y: "y", x: "dx", w: "dw" }[grid];
  const of = { y: "w times x, nine products", x: `dy times w, at ${parts.length} ${parts.length === 1 ? "place" : "places"}`, w: "dy times x, at four places" }[grid];
  const signed = (value) => (value < 0 ? `(−${-value})` : value);
  const sum = parts.map(({ product: [a, b] }) => `${signed(a)}·${signed(b)}`).join(" + ");
  $("sentence").textContent = `${name}[${r}, ${c}] is ${of}: ${sum} = ${String(total(parts)).replace("-", "−")}.`;
  history.replaceState(null, "", `#${grid}=${r}.${c}`);
}

for (const [grid, size] of Object.entries(sizes)) {
  $(grid).style.gridTemplateColumns = `repeat(${size}, auto)`;
  for (let r = 0; r < size; r++)
    for (let c = 0; c < size; c++) {
      const [forward, back] = shown[grid](r, c).map((value) => String(value).replace("-", "−"));
      const button = document.createElement("button");
      const small = document.createElement("small");
      small.textContent = back;
      button.type = "button";
      button.append(forward, small);
      button.setAttribute("aria-label", `${grid}[${r}, ${c}] is ${forward}, its gradient ${back}`);
      button.onpointerenter = button.onfocus = button.onclick = () => ask(grid, r, c);
      $(grid).append(button);
    }
}

function fromAddress() {
  const [, grid, r, c] = /^#([xwy])=(\d)\.(\d)$/.exec(location.hash) ?? [];
  if (grid && r < sizes[grid] && c < sizes[grid]) ask(grid, Number(r), Number(c));
  else ask("y", 0, 0);
}
addEventListener("hashchange", fromAddress);
fromAddress();

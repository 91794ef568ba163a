// Where cells stand: the matrix of rows and columns that the chosen axes make, and the flow of a
// sorted list.

const ROLES = ["rows", "columns", "page"];

const MOST_AT_FIRST = 240; // cells on a sheet before anybody has chosen

// Columns for each row: screens are wide, but for a phone in the hand.
const screenShape = () => (innerWidth < innerHeight ? 0.6 : 1.6);

const LONG = 24; // characters; prompts, mostly

// The last axes that fit on a sheet, the others being pages. The very last makes columns, those with
// long labels rows, and the others either, so that the sheet has about the shape of a screen.
function defaultRoles(dims) {
  const sizes = dims.map((dim) => dim.labels.length);
  const last = dims.length - 1;
  let first = Math.max(0, last - 1);
  const product = (axes) => axes.reduce((count, axis) => count * sizes[axis], 1);
  const from = (axis) => sizes.map((_, index) => index).filter((index) => index >= axis);
  while (first > 0 && product(from(first - 1)) <= MOST_AT_FIRST) first -= 1;
  const roles = dims.map((_, axis) => (axis < first ? "page" : "columns"));
  const isLong = (axis) => dims[axis].labels.some((label) => label.length > LONG);
  if (last < 1) return roles;
  const distance = (down) =>
    Math.abs(Math.log(product(from(first)) / product(down) ** 2 / screenShape())).toFixed(9);
  // Of equal ways the first: the axis before the last makes rows.
  let best = [];
  for (let way = 1; way < 2 ** (last - first); way += 1) {
    const down = from(first).filter((axis) => axis < last && (way >> (last - 1 - axis)) & 1);
    if (from(first).some((axis) => axis < last && isLong(axis) && !down.includes(axis))) continue;
    if (!best.length || Number(distance(down)) < Number(distance(best))) best = down;
  }
  for (const axis of best) roles[axis] = "rows";
  return roles;
}

// The product of the chosen axes' values that are not hidden: [{coords: {dim: index}, labels:
// [...]}, ...].
function lines(store, state, role) {
  let product = [{ coords: {}, labels: [] }];
  store.dims.forEach((dim, index) => {
    if (state.roles[index] !== role) return;
    const kept = dim.labels
      .map((label, value) => [label, value])
      .filter(([, value]) => !isHidden(state, index, value));
    product = product.flatMap((line) =>
      kept.map(([label, value]) => ({
        coords: { ...line.coords, [index]: value },
        labels: [...line.labels, label],
      })),
    );
  });
  return product;
}

function isHidden(state, dim, value) {
  return Boolean(state.hidden[dim] && state.hidden[dim].includes(value));
}

function matrix(store, state) {
  const rows = lines(store, state, "rows");
  const columns = lines(store, state, "columns");
  const page = {};
  store.dims.forEach((_, index) => {
    if (state.roles[index] === "page") page[index] = state.page[index] || 0;
  });
  const cellAt = (row, column) => {
    if (!rows[row] || !columns[column]) return null;
    const coords = { ...page, ...rows[row].coords, ...columns[column].coords };
    return store.at(store.dims.map((_, index) => coords[index]));
  };
  return { rows, columns, cellAt };
}

// The cells of the sheet in reading order, those that `exclude=` dropped left out.
function cellsOf(grid) {
  const found = [];
  for (let row = 0; row < grid.rows.length; row += 1) {
    for (let column = 0; column < grid.columns.length; column += 1) {
      const cell = grid.cellAt(row, column);
      if (cell) found.push(cell);
    }
  }
  return found;
}

// The neighbour of a cell along the rows (dy) or columns (dx), holes skipped; null at the edge.
function neighbour(grid, cell, dx, dy) {
  const [row, column] = placeOf(grid, cell);
  if (row < 0) return null;
  for (let step = 1; step <= Math.max(grid.rows.length, grid.columns.length); step += 1) {
    const found = grid.cellAt(row + dy * step, column + dx * step);
    if (found) return found;
  }
  return null;
}

function placeOf(grid, cell) {
  const matches = (line) =>
    Object.entries(line.coords).every(([dim, value]) => cell.c[dim] === value);
  const row = grid.rows.findIndex(matches);
  const column = grid.columns.findIndex(matches);
  return row < 0 || column < 0 || grid.cellAt(row, column) !== cell ? [-1, -1] : [row, column];
}

// What tells this cell from the others, as a person reads it: "cfg 7 · sampler Heun". Long labels
// come last.
function nameOf(store, cell, dims = store.dims.map((_, index) => index)) {
  const long = (index) => store.dims[index].labels[cell.c[index]].length > LONG;
  const ordered = [...dims].sort((one, other) => long(one) - long(other));
  const part = (index) =>
    `${store.dims[index].keys.join("+")} ${store.dims[index].labels[cell.c[index]]}`;
  return ordered.map(part).join(" · ");
}

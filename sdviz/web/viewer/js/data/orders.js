// In what order cells stand on a sheet and on the timings, and the figure that they are ordered by.

const SCORES = ["clip", "aesthetic"]; // of the cell, and not of its last frame

// By the axes; as they come, line by line; by time; and by each score that there is.
function ordersOf(store) {
  const told = SCORES.filter((name) => store.cells.some((cell) => Number.isFinite(cell[name])));
  return ["axes", "wrapped", "slowest", "fastest", ...told];
}

function orderName(order) {
  if (SCORES.includes(order)) return say("highest", { what: say(order) });
  return say(order === "axes" ? "byAxes" : order);
}

const orderOptions = (orders) => orders.map((order) => [order, orderName(order)]);

// A cell's seconds in all, and for denoising: what it costs at the sweep's settled pace, or what it
// took where that is not known.
const totalOf = (cell) => cell.t && (cell.t.comparable_s ?? cell.t.total_s);
const denoisingOf = (cell) => cell.t && (cell.t.comparable_denoise_s ?? cell.t.denoise_s);
const isComparable = (cell) => Boolean(cell.t) && Number.isFinite(cell.t.comparable_s);

// The figure that a cell is ordered by, or null; of a score the highest comes first.
function orderedBy(cell, order) {
  const value = SCORES.includes(order) ? cell[order] : totalOf(cell);
  return Number.isFinite(value) ? value : null;
}

function sorted(cells, order) {
  if (order === "axes" || order === "wrapped") return cells;
  const sign = order === "fastest" ? 1 : -1;
  return [...cells].sort((one, other) => {
    const [left, right] = [orderedBy(one, order), orderedBy(other, order)];
    if (left === null || right === null)
      return (left === null) - (right === null) || one.i - other.i;
    return sign * (left - right) || one.i - other.i;
  });
}

// What stands below a cell that is done: the score that the sheet is ordered by, or its time.
function figureOf(cell, order) {
  const value = orderedBy(cell, order);
  if (value === null) return "";
  return SCORES.includes(order) ? figure(value) : seconds(value);
}

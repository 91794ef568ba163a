// Which frame of a cell belongs to a position of the one slider. Three ways: equal step, equal part
// of the schedule, equal noise level. A position is an index into `stops(...)`; the last stop is
// the final image.

const ALIGNMENTS = ["step", "fraction", "sigma"];

// The values that the slider can stand at, in the order of denoising, without the final image.
function stops(store, align) {
  const steps = store.maxSteps;
  if (align === "step") return Array.from({ length: steps }, (_, index) => index + 1);
  if (align === "fraction") return Array.from({ length: steps }, (_, index) => (index + 1) / steps);
  const levels = new Map();
  for (const schedule of store.schedules) {
    for (const sigma of schedule.sigmas) levels.set(sigma.toPrecision(3), sigma);
  }
  const all = [...levels.values()].sort((one, other) => other - one);
  if (all.length <= 240) return all;
  return Array.from(
    { length: 240 },
    (_, index) => all[Math.round((index * (all.length - 1)) / 239)],
  );
}

// The index of `at` among the stops; null (the final image) is one beyond the last.
function stopIndex(list, align, at) {
  if (at === null) return list.length;
  const index = list.findIndex((value) =>
    align === "sigma" ? value <= at * 1.000001 : value >= at - 1e-9,
  );
  return index < 0 ? Math.max(0, list.length - 1) : index;
}

// The step (1..steps) that `at` asks of a cell, whether it has been computed or not. Null: the
// final image.
function wantedStep(store, cell, align, at) {
  if (at === null) return null;
  const steps = store.steps(cell);
  if (align === "step") return at > steps ? null : at;
  if (align === "fraction") return Math.max(1, Math.round(at * steps));
  const sigmas = store.sigmas(cell);
  if (!sigmas) return steps;
  const index = sigmas.findIndex((sigma) => sigma <= at * 1.000001);
  return index < 0 ? sigmas.length : index + 1;
}

// What can be shown for it: a step that has a frame, 0 for the final image, null for nothing yet.
function shownStep(cell, wanted) {
  const ended = cell.s === "done";
  const newest = cell.f || 0;
  if (wanted === null) return ended ? 0 : newest || null;
  if (!newest) return ended ? 0 : null;
  if (!cell.fs) return Math.min(wanted, newest);
  const kept = cell.fs.filter((step) => step <= wanted);
  return kept.length ? kept[kept.length - 1] : cell.fs[0] || null;
}

function frameStep(store, cell, align, at) {
  return shownStep(cell, wantedStep(store, cell, align, at));
}

// `at` in another alignment, so that the picture of the leading cell stays when the alignment
// changes.
function convertAt(store, cell, from, to, at) {
  if (at === null || from === to || !cell) return at;
  const step = wantedStep(store, cell, from, at) || store.steps(cell);
  if (to === "step") return step;
  if (to === "fraction") return step / store.steps(cell);
  const sigmas = store.sigmas(cell);
  return sigmas ? sigmas[Math.min(step, sigmas.length) - 1] : null;
}

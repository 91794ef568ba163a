// The lines of the curves: figures of every frame of many cells, read when they have changed.

const PER_REQUEST = 100; // cells in one request of `urls.curves`
const ONE_BY_ONE = 100; // cells at most, where each is a request of its own
const REST_MS = 2000; // between two rounds of a running sweep


class Series {
  // `changed()` is called when figures have come.
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    this.known = new Map(); // cell index -> {sign, frames}
  }

  framesOf(cell) {
    const entry = this.known.get(cell.i);
    return entry ? entry.frames : [];
  }

  // Reads what has changed; while a round is under way, what is asked for waits for the next.
  async load(cells) {
    this.cells = cells;
    if (this.loading) return;
    const signs = new Map(cells.map((cell) => [cell.i, signOf(cell)]));
    const old = cells.filter(
      (cell) => cell.f && (this.known.get(cell.i) || {}).sign !== signs.get(cell.i),
    );
    if (!old.length) return;
    this.loading = true;
    const found = await this.read(old);
    for (const cell of old) {
      const frames = found.get(cell.i) || this.framesOf(cell);
      this.known.set(cell.i, { sign: signs.get(cell.i), frames });
    }
    this.changed();
    await pause(REST_MS);
    this.loading = false;
    this.load(this.cells);
  }

  async read(cells) {
    const { store } = this.app;
    const found = new Map();
    if (store.urls.curves && !store.description.details) {
      for (let start = 0; start < cells.length; start += PER_REQUEST) {
        const part = cells.slice(start, start + PER_REQUEST).map((cell) => cell.i);
        const url = store.url("curves", { cells: part.join(",") });
        const answer = await store.fetchJson(url).catch(() => ({ cells: {} }));
        for (const [index, frames] of Object.entries(answer.cells))
          found.set(Number(index), frames);
      }
      return found;
    }
    const asked = cells.slice(0, ONE_BY_ONE).map(async (cell) => {
      const detail = await store.detail(cell);
      if (detail) found.set(cell.i, detail.frames || []);
    });
    await Promise.all(asked);
    return found;
  }

  // One line a cell and field over its denoising; the second field of a pair is dashed.
  overSteps(cells, fields, { against, colourOf }) {
    const { store } = this.app;
    const x = (cell, frame) => {
      if (against === "fraction") return frame.step / store.steps(cell);
      if (against === "seconds" && isComparable(cell) && cell.t.denoise_s)
        return (frame.seconds * denoisingOf(cell)) / cell.t.denoise_s;
      return frame[against];
    };
    return cells.flatMap((cell) => {
      const frames = this.framesOf(cell);
      return fields.map((field, index) => ({
        name: nameOf(store, cell),
        colour: colourOf(cell),
        cell,
        dashed: index > 0 || (field === "reference" && Boolean(cell.noisy)),
        points: frames
          .filter((frame) => Number.isFinite(frame[field]))
          .map((frame) => ({ x: x(cell, frame), y: frame[field], step: frame.step })),
      }));
    });
  }

  // One point a cell, joined for cells that differ in CFG only.
  overCfg(cells, name, { colourOf }) {
    const { store } = this.app;
    const cfg = store.dims.findIndex((dim) => dim.keys.includes("cfg"));
    if (cfg < 0 || store.dims[cfg].labels.length < 2) return [];
    const others = store.dims.map((_, index) => index).filter((index) => index !== cfg);
    const lines = new Map();
    for (const cell of cells.filter((one) => one.s === "done")) {
      const last = this.framesOf(cell).slice(-1)[0] || {};
      const y = SCORES.includes(name) ? cell[name] : last[name];
      if (!Number.isFinite(y)) continue;
      const line = nameOf(store, cell, others) || say(name);
      const fresh = { name: line, colour: colourOf(cell, cfg), points: [], dots: true };
      if (!lines.has(line)) lines.set(line, fresh);
      lines.get(line).points.push({ x: Number(store.recipe(cell).cfg), y, cell });
    }
    return inOrder(lines);
  }

  // How far each cell's final image is from its reference; one point a cell, joined for cells that
  // differ in their steps only. Dashed: a sampler that converges to no one image.
  converging(cells, { x, colourOf }) {
    const { store } = this.app;
    const steps = store.dims.findIndex((dim) => dim.keys.includes("steps"));
    const others = store.dims.map((_, index) => index).filter((index) => index !== steps);
    const lines = new Map();
    for (const cell of cells.filter((one) => one.s === "done" && one.ref)) {
      const y = (this.framesOf(cell).slice(-1)[0] || {}).reference;
      if (!Number.isFinite(y)) continue;
      const name = nameOf(store, cell, others) || say("reference");
      const dashed = Boolean(cell.noisy);
      const fresh = { name, colour: colourOf(cell, steps), points: [], dots: true, dashed };
      if (!lines.has(name)) lines.set(name, fresh);
      lines.get(name).points.push({ x: x(cell), y, cell });
    }
    return inOrder(lines);
  }
}

function inOrder(lines) {
  for (const line of lines.values()) line.points.sort((one, other) => one.x - other.x);
  return [...lines.values()];
}

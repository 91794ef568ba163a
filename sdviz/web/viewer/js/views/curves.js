// Curves over the denoising of the sheet's cells, and figures of their last frames against CFG.
// What each measures, and its source, is in the texts named about_..., and stands below the curve.

const MOST_CURVES = 240;
const MOST_KEYS = 24; // in the legend
const OVER_STEPS = {
  distance: ["distance"],
  reference: ["reference"],
  guidance: ["guidance"],
  mean: ["mean"],
  std: ["std"],
  range: ["max", "min"],
  clipped: ["clipped"],
  saturation: ["saturation"],
};
const LATENT = ["mean", "std", "range"];
const OVER_CFG = ["clip", "aesthetic", "clipped", "saturation"];
// What a final image cost, for its distance to the reference.
const COSTS = {
  steps: (cell, store) => store.steps(cell),
  evaluations: (cell) => cell.ev,
  seconds: denoisingOf,
};
const AGAINST = ["step", "fraction", "sigma", "seconds"];
const NEUTRAL = "#d0d0d0";

class Curves {
  constructor(app) {
    this.app = app;
    this.series = new Series(app, () => this.draw());
    this.made = new Map(); // plot id -> Plot
    const choice = (set) => h("select", { onchange: (event) => app.set(set(event.target.value)) });
    this.against = choice((value) => ({ against: value }));
    this.colour = choice((value) => ({ colour: Number(value) }));
    this.legend = h("div", { class: "legend" });
    this.note = h("span", { class: "note" });
    this.plots = h("div", { class: "plots", tabindex: "0", "aria-label": say("curves") });
    const label = (name, field) => h("label", {}, h("span", {}, say(name)), field);
    const choices = [label("against", this.against), label("colourBy", this.colour)];
    const bar = h("div", { class: "bar" }, choices, this.legend, this.note);
    this.element = h("div", { class: "curves" }, bar, this.plots);
  }

  layout() {
    const { store, state, grid } = this.app;
    const dims = store.dims.map((dim, index) => [index, dim.keys.join("+")]);
    setOptions(
      this.against,
      AGAINST.map((name) => [name, say(name)]),
      state.against,
    );
    setOptions(this.colour, dims, state.colour);
    const all = cellsOf(grid);
    this.cells = all.slice(0, MOST_CURVES);
    const left = all.length - this.cells.length;
    setText(this.note, left ? say("moreCells", { n: left, m: this.cells.length }) : "");
    this.showLegend();
    this.draw();
    this.series.load(this.cells);
  }

  showLegend() {
    const { store, state } = this.app;
    const dim = store.dims[state.colour];
    const labels = dim ? dim.labels : [];
    this.colours = coloursFor(labels);
    const keys = labels
      .map((label, value) => [label, this.colours[value], isHidden(state, state.colour, value)])
      .filter(([, , hidden]) => !hidden)
      .slice(0, MOST_KEYS)
      .map(([label, colour]) =>
        h("span", { class: "key" }, h("i", { style: `background:${colour}` }), label),
      );
    this.legend.replaceChildren(...keys);
  }

  data() {
    this.series.load(this.cells);
  }

  // Everything that there are figures for, as options of Plot.show.
  wanted() {
    const { against, colour } = this.app.state;
    const { cells } = this;
    const colourOf = (cell, without) =>
      (without !== colour && this.colours[cell.c[colour]]) || NEUTRAL;
    const xLabel = against === "sigma" ? `${say("sigma")} σ` : say(against);
    const log = against === "sigma";
    const overSteps = Object.entries(OVER_STEPS).map(([name, fields]) => ({
      id: name,
      title: LATENT.includes(name) ? `${say("latent")}: ${say(name)}` : say(name),
      about: say(`about_${name}`),
      series: this.series.overSteps(cells, fields, { against, colourOf }),
      xLabel,
      log,
      logY: name === "reference",
    }));
    const converging = Object.entries(COSTS).map(([cost, x]) => ({
      id: `converging-${cost}`,
      title: `${say("converging")} – ${say(cost)}`,
      about: say("about_converging"),
      series: this.series.converging(cells, { x: (cell) => x(cell, this.app.store), colourOf }),
      xLabel: say(cost),
      logY: true,
    }));
    const overCfg = OVER_CFG.map((name) => ({
      id: `cfg-${name}`,
      title: `${say(name)} – cfg`,
      about: say(`about_cfg_${name}`),
      series: this.series.overCfg(cells, name, { colourOf }),
      xLabel: "cfg",
    }));
    return [...converging, ...overSteps, ...overCfg]
      .map((one) => ({ ...one, series: one.series.filter((line) => line.points.length) }))
      .filter((one) => one.series.length);
  }

  draw() {
    const { unit, state } = this.app;
    if (!state || this.element.hidden) return;
    const room = this.plots.clientWidth - 2 * unit;
    const across = clamp(Math.floor(room / (30 * unit)), 1, 4);
    const width = Math.floor(room / across - 3.2 * unit);
    const height = Math.round(Math.min(width * 0.6, 26 * unit));
    const shown = this.wanted().map((one) => {
      const plot = this.plotFor(one.id);
      plot.show({ ...one, width, height, unit, faint: one.series.length > 24 });
      return plot.element;
    });
    if (!shown.length) shown.push(h("p", { class: "empty" }, say("noCurves")));
    this.plots.style.gridTemplateColumns = `repeat(${across}, minmax(0, 1fr))`;
    const same = shown.length === this.plots.childElementCount;
    if (!same || shown.some((plot, at) => this.plots.children[at] !== plot)) {
      this.plots.replaceChildren(...shown);
    }
  }

  plotFor(id) {
    if (!this.made.has(id)) {
      const plot = new Plot({ pick: (series, point) => this.pick(series, point) });
      plot.element.dataset.plot = id;
      this.made.set(id, plot);
    }
    return this.made.get(id);
  }

  // A click on a curve opens its cell at that step.
  pick(series, point) {
    const cell = point.cell || series.cell;
    if (cell) inspect(this.app, cell, point.step || null);
  }

  frames() {}

  marks() {}
}

// Where the time went: a bar for each cell, split by kind, and one line for each sampler.

const MOST_BARS = 300;
const KIND_COLOURS = {
  encode_s: "#d98cbb",
  denoise_s: "#56b4e9",
  preview_s: "#e69f00",
  decode_s: "#2fbf95",
  save_s: "#d0d0d0",
};
const COMPARED = { denoise_s: KIND_COLOURS.denoise_s, rest_s: "#2fbf95" };

class Timings {
  constructor(app) {
    this.app = app;
    this.order = h("select", {
      "aria-label": say("order"),
      onchange: () => app.set({ order: this.order.value }),
    });
    this.times = h("select", {
      "aria-label": say("times"),
      onchange: () => app.set({ times: this.times.value }),
    });
    this.note = h("span", { class: "note" });
    this.pace = h("p", { class: "pace" });
    this.table = h("table", { class: "by-sampler" });
    this.bars = h("div", { class: "bars" });
    this.legend = h("div", { class: "legend" });
    this.body = h(
      "div",
      { class: "body", tabindex: "0", "aria-label": say("timings") },
      this.table,
      this.pace,
      this.bars,
    );
    this.element = h(
      "div",
      { class: "timings" },
      h(
        "div",
        { class: "bar" },
        h("label", {}, h("span", {}, say("times")), this.times),
        h("label", {}, h("span", {}, say("order")), this.order),
        this.legend,
        this.note,
      ),
      this.body,
    );
  }

  layout() {
    const { app } = this;
    const { store, state } = app;
    const orders = ordersOf(store).filter((order) => order !== "wrapped");
    setOptions(this.order, orderOptions(orders), state.order === "wrapped" ? "axes" : state.order);
    const cells = sorted(cellsOf(app.grid), state.order).filter((cell) => cell.t);
    const shown = cells.slice(0, MOST_BARS);
    setText(
      this.note,
      cells.length > shown.length
        ? say("moreCells", { n: cells.length - shown.length, m: shown.length })
        : "",
    );
    this.compares = state.times === "comparable" && store.cells.some(isComparable);
    setOptions(
      this.times,
      ["comparable", "measured"].map((name) => [name, say(name)]),
      state.times,
    );
    setText(this.pace, this.paceText());
    this.legend.replaceChildren(
      ...Object.keys(this.compares ? COMPARED : KIND_COLOURS).map((name) =>
        h(
          "span",
          { class: "key" },
          h("i", { style: `background:${KIND_COLOURS[name] || COMPARED[name]}` }),
          say(name),
        ),
      ),
    );
    const longest = Math.max(...shown.map((cell) => this.total(cell) || 0), 1e-9);
    this.bars.replaceChildren(
      ...(shown.length
        ? shown.map((cell) => this.bar(cell, longest))
        : [h("p", { class: "empty" }, say("noCurves"))]),
    );
    this.drawTable(store.cells.filter((cell) => cell.t));
  }

  total(cell) {
    return this.compares ? totalOf(cell) : cell.t.total_s;
  }

  denoising(cell) {
    return this.compares ? denoisingOf(cell) : cell.t.denoise_s;
  }

  // How the comparable seconds were made.
  paceText() {
    const { store, state } = this.app;
    if (state.times === "measured") return say("about_measured");
    const ways = Object.entries(store.comparable);
    if (!this.compares || !ways.length) return say("about_no_comparable");
    const several = ways.length > 1;
    const words = ways.map(([model, { batch, settled, device }]) => {
      const text = say("about_comparable", { batch, device });
      return `${several ? `${model}: ` : ""}${text}${settled ? "" : ` ${say("about_unsettled")}`}`;
    });
    if (store.cells.some((cell) => cell.src && isComparable(cell))) words.push(say("about_reused"));
    return words.join(" ");
  }

  bar(cell, longest) {
    const { app } = this;
    const compares = this.compares && isComparable(cell);
    const spent = compares
      ? { denoise_s: denoisingOf(cell), rest_s: totalOf(cell) - denoisingOf(cell) }
      : Object.fromEntries(SPLIT.map((name) => [name, cell.t[name] || 0]));
    const parts = Object.entries(spent).map(([name, value]) =>
      h("i", {
        style: `width:${(100 * value) / longest}%;background:${KIND_COLOURS[name] || COMPARED[name]}`,
        title: `${say(name)} ${seconds(value)}`,
      }),
    );
    const mark = this.compares && cell.src ? " *" : this.compares && !compares ? " ≈" : "";
    return h(
      "button",
      { type: "button", class: "cell-bar", "data-cell": cell.i, onclick: () => inspect(app, cell) },
      h("span", { class: "who" }, nameOf(app.store, cell) || app.store.description.name),
      h("span", { class: "track" }, parts),
      h("span", { class: "num" }, `${seconds(this.total(cell))}${mark}`),
    );
  }

  // Medians over the cells of each sampler: previews are counted apart from denoising.
  drawTable(cells) {
    const { store } = this.app;
    const groups = new Map();
    for (const cell of cells) {
      const name = String(store.recipe(cell).sampler);
      groups.set(name, [...(groups.get(name) || []), cell]);
    }
    const numbers = (list, value) => median(list.map(value).filter(Number.isFinite));
    const rows = [...groups].map(([name, list]) => {
      const calls = numbers(list, (cell) => cell.ev / store.steps(cell));
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        ...[
          String(list.length),
          figure(numbers(list, (cell) => this.denoising(cell) / store.steps(cell))),
          Number.isFinite(calls) ? figure(calls) : "–",
          percent(numbers(list, (cell) => cell.t.preview_s / cell.t.total_s)),
          seconds(numbers(list, (cell) => this.total(cell))),
        ].map((text) => h("td", {}, text)),
      );
    });
    const heads = [
      "sampler",
      say("cells"),
      say("perStep"),
      say("evalsPerStep"),
      `${say("previewCost")}, ${say("share")}`,
      say("total_s"),
    ];
    this.table.replaceChildren(
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h("tbody", {}, rows),
    );
    this.table.hidden = !rows.length;
  }

  data() {
    this.layout();
  }

  frames() {}

  marks() {}
}

function median(list) {
  if (!list.length) return NaN;
  const ordered = [...list].sort((one, other) => one - other);
  const middle = ordered.length / 2;
  return ordered.length % 2
    ? ordered[Math.floor(middle)]
    : (ordered[middle - 1] + ordered[middle]) / 2;
}

const percent = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "–");

// Film strips: one for each value of an axis (the samplers, at first), columns of aligned stops.

const MOST_STRIPS = 60;
const STRIP_GAP = 6;

class Strips {
  constructor(app) {
    this.app = app;
    this.views = [];
    const choice = (set) => h("select", { onchange: (event) => app.set(set(event.target.value)) });
    this.dim = choice((value) => ({ strip: Number(value) }));
    this.count = choice((value) => ({ stripCount: Number(value) }));
    this.align = choice((value) => ({ stripAlign: value }));
    this.others = new Picker(app, "", (cell) => this.moveTo(cell));
    this.note = h("span", { class: "note" });
    this.table = h("div", { class: "film" });
    const named = { class: "scroller", tabindex: "0", "aria-label": say("strips") };
    this.scroller = h("div", named, this.table);
    this.scroller.addEventListener("click", (event) => this.clicked(event));
    this.scroller.addEventListener("pointerover", (event) => {
      const view = this.viewUnder(event);
      app.point(view ? view.cell : null);
    });
    this.element = h("div", { class: "strips" }, this.bar(), this.scroller);
    attachZoom(app, this.scroller);
  }

  bar() {
    const label = (name, field) => h("label", {}, h("span", {}, say(name)), field);
    const quiet = h("span", { class: "quiet" }, say("others"));
    this.othersLabel = h("div", { class: "group" }, quiet, this.others.element);
    const choices = [
      label("stripsOf", this.dim),
      label("align", this.align),
      label("columnsCount", this.count),
    ];
    return h("div", { class: "bar" }, choices, this.othersLabel, this.note);
  }

  viewUnder(event) {
    const element = event.target.closest(".cell");
    return element && this.views.find((view) => view.element === element);
  }

  clicked(event) {
    const view = this.viewUnder(event);
    if (view) inspect(this.app, view.cell, view.at === null ? null : view.shown || null);
  }

  moveTo(cell) {
    this.app.set({ cell: cell.i });
    this.app.later("layout");
  }

  layout() {
    const { app } = this;
    const { store, state, unit } = app;
    const base = app.currentCell();
    if (!base) return;
    this.showChoices(base);
    const all = this.cellsAlong(base);
    const cells = all.slice(0, MOST_STRIPS);
    const left = all.length - cells.length;
    setText(this.note, left ? say("moreCells", { n: left, m: cells.length }) : "");
    const columns = this.columns();
    const aside = (app.root.classList.contains("narrow") ? 6 : 11) * unit;
    const room = (this.scroller.clientWidth - aside - 2 * STRIP_GAP) / columns.length - STRIP_GAP;
    const wide = Math.round(clamp(room, 84, 24 * unit));
    this.table.style.gridTemplateColumns = `${aside}px repeat(${columns.length}, ${wide}px)`;
    this.views = [];
    const dim = store.dims[state.strip];
    const corner = h("div", { class: "over corner-cell" }, dim ? dim.keys.join("+") : "");
    const heads = columns.map((at) => h("div", { class: "over" }, this.head(at)));
    const rows = cells.flatMap((cell) => {
      const name = dim ? dim.labels[cell.c[state.strip]] : store.description.name;
      const aside = h("div", { class: "side-label" }, name);
      return [aside, ...columns.map((at) => this.picture(cell, at, wide))];
    });
    this.table.replaceChildren(corner, ...heads, ...rows);
    this.frames();
  }

  showChoices(base) {
    const { store, state } = this.app;
    const dims = store.dims.map((dim, index) => [index, dim.keys.join("+")]);
    const counts = [4, 6, 8, 10, 12, 16, 24].map((count) => [count, String(count)]);
    const alignments = ALIGNMENTS.map((name) => [name, say(name)]);
    setOptions(this.dim, dims, state.strip);
    setOptions(this.align, alignments, state.stripAlign);
    setOptions(this.count, counts, state.stripCount);
    this.others.show(base, state.strip);
    this.othersLabel.hidden = store.dims.length < 2;
  }

  cellsAlong(base) {
    const { store, state } = this.app;
    if (!store.dims.length) return [base];
    const at = state.strip;
    const values = store.dims[at].labels.map((_, value) => value);
    return values
      .filter((value) => !isHidden(state, at, value))
      .map((value) => store.at(replaced(base.c, at, value)))
      .filter(Boolean);
  }

  // Evenly spaced stops of the alignment, the last of them the final image.
  columns() {
    const { store, state } = this.app;
    const list = stops(store, state.stripAlign);
    const count = Math.min(state.stripCount, list.length + 1);
    const parts = Array.from({ length: count - 1 }, (_, index) => (index + 1) / count);
    if (state.stripAlign === "fraction") return [...parts, null];
    return [...parts.map((part) => list[Math.max(0, Math.round(part * list.length) - 1)]), null];
  }

  head(at) {
    const { stripAlign } = this.app.state;
    if (at === null) return say("final");
    if (stripAlign === "step") return `${say("step")} ${at}`;
    return stripAlign === "fraction" ? `${Math.round(at * 100)} %` : `σ ${figure(at, 2)}`;
  }

  picture(cell, at, wide) {
    const view = new CellView(this.app, cell);
    const recipe = this.app.store.recipe(cell);
    view.at = at;
    const shape = (recipe.width || 1) / (recipe.height || 1);
    view.picture.style.height = `${Math.round(wide / shape)}px`;
    this.views.push(view);
    return view.element;
  }

  frames() {
    const { app } = this;
    const missing = [];
    for (const view of this.views) {
      view.shown = frameStep(app.store, view.cell, app.state.stripAlign, view.at);
      if (!view.show(view.shown)) missing.push([view.cell, view.shown]);
      setText(view.right, this.besideStep(view));
    }
    if (missing.length) app.pictures.load(missing).then((arrived) => arrived && this.frames());
  }

  besideStep({ cell, at, shown }) {
    if (at === null) return cell.t ? seconds(totalOf(cell)) : "";
    const sigmas = this.app.store.sigmas(cell);
    return sigmas && shown ? `σ ${figure(sigmas[shown - 1], 2)}` : "";
  }

  marks() {
    for (const view of this.views) {
      view.mark(this.app.state);
      view.element.classList.remove("current");
    }
  }
}

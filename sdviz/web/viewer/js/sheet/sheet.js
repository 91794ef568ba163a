// The contact sheet. Only the cells near the view have elements, so that 10,000 cells scroll like
// 10.

const MARGIN = 400; // pixels beyond the view that are kept ready

class Sheet {
  constructor(app) {
    this.app = app;
    this.views = new Map(); // cell index -> CellView
    this.corner = h("div", { class: "corner" });
    this.heads = { top: new Heads("top"), side: new Heads("side") };
    this.heads.top.element.append(this.corner);
    this.field = h("div", { class: "field" });
    const parts = [this.heads.top.element, this.heads.side.element, this.field];
    this.canvas = h("div", { class: "canvas" }, parts);
    const named = { class: "sheet", tabindex: "0", role: "listbox", "aria-label": say("sheet") };
    this.element = h("div", { ...named, onscroll: () => this.scrolled() }, this.canvas);
    this.element.addEventListener("click", (event) => this.clicked(event));
    this.element.addEventListener("pointerover", (event) => app.point(this.cellUnder(event)));
    this.element.addEventListener("pointerleave", () => app.point(null));
    attachZoom(app, this.element);
  }

  cellUnder(event) {
    const element = event.target.closest(".cell");
    return element ? this.app.store.byIndex.get(Number(element.dataset.cell)) : null;
  }

  clicked(event) {
    const cell = this.cellUnder(event);
    if (cell) inspect(this.app, cell);
  }

  scrolled() {
    this.scroll = [this.element.scrollLeft, this.element.scrollTop];
    this.app.later("scroll");
  }

  // Rows, columns and sizes; called when anything but the slider or the scroll position changes.
  layout() {
    const { app } = this;
    const { state, store, unit } = app;
    const measure = ruler(app.root);
    this.grid = app.grid;
    this.flow = state.order === "axes" ? null : sorted(cellsOf(this.grid), state.order);
    this.labelled = Boolean(this.flow && store.dims.length);
    const view = { width: this.element.clientWidth || 800, height: this.element.clientHeight };
    const { grid, flow, labelled } = this;
    const { shape } = store;
    const names = flow ? { rows: [], columns: [] } : axisNames(store, state);
    const span = (kind, mark) => (name) => h("span", { class: kind, title: name }, name + mark);
    const down = names.rows.map(span("down", " ↓"));
    this.corner.replaceChildren(...down, ...names.columns.map(span("across", " →")));
    this.names = names;
    const given = { view, unit, measure, grid, flow, state, shape, labelled, names };
    this.geometry = sheetGeometry(given);
    app.shownSize = this.geometry.longest;
    app.pictures.shown = app.shownSize * devicePixelRatio * state.zoom.k;
    this.applyGeometry();
    this.element.classList.toggle("bare", !state.captions);
    this.element.classList.toggle("labelled", labelled);
    this.fill(true);
  }

  applyGeometry() {
    const { sideWidth, topHeight, columns, rows, stepX, stepY } = this.geometry;
    const [width, height] = [columns * stepX + GAP, rows * stepY + GAP];
    const px = (value) => `${value}px`;
    Object.assign(this.canvas.style, {
      width: px(sideWidth + width),
      height: px(topHeight + height),
    });
    this.heads.top.element.style.height = px(topHeight);
    Object.assign(this.heads.side.element.style, { width: px(sideWidth), height: px(height) });
    this.corner.style.width = px(sideWidth);
    this.corner.hidden = sideWidth < 32; // no rows: its text would lie over the first header
    Object.assign(this.field.style, { left: px(sideWidth), top: px(topHeight) });
  }

  // Elements for what is near the view. `all`: positions and headers have changed too.
  fill(all = false) {
    const { geometry, element } = this;
    const { topHeight, sideWidth, stepX, stepY, rows, columns } = geometry;
    const [top, left] = [element.scrollTop - topHeight, element.scrollLeft - sideWidth];
    const rowRange = inView(top, element.clientHeight, stepY, rows, MARGIN);
    const columnRange = inView(left, element.clientWidth, stepX, columns, MARGIN);
    const wanted = new Map();
    for (let row = rowRange[0]; row < rowRange[1]; row += 1) {
      for (let column = columnRange[0]; column < columnRange[1]; column += 1) {
        const cell = this.cellAt(row, column);
        if (cell) wanted.set(cell.i, [cell, row, column]);
      }
    }
    const fresh = this.exchange(wanted, all);
    const { side, top: above } = this.heads;
    const { names } = this;
    const cornered = topHeight && sideWidth; // else there is no corner to name the axes
    const beside = (list) => (cornered ? [] : silent(this.app.store, list));
    side.show(this.grid.rows, sideWidth ? rowRange : [0, 0], geometry, all, beside(names.rows));
    above.show(
      this.grid.columns,
      topHeight ? columnRange : [0, 0],
      geometry,
      all,
      beside(names.columns),
    );
    this.frames(fresh);
  }

  cellAt(row, column) {
    if (!this.flow) return this.grid.cellAt(row, column);
    return this.flow[row * this.geometry.columns + column];
  }

  // Cells that left the view lose their elements, those that came get one. Returns the new ones, or
  // null for all.
  exchange(wanted, all) {
    for (const [index, view] of this.views) {
      if (wanted.has(index) && wanted.get(index)[0] === view.cell) continue;
      view.element.remove();
      this.views.delete(index);
    }
    const fresh = [];
    for (const [index, [cell, row, column]] of wanted) {
      let view = this.views.get(index);
      if (!view) {
        view = new CellView(this.app, cell);
        view.element.setAttribute("role", "option");
        view.element.id = `cell-${cell.i}`;
        this.views.set(index, view);
        this.field.append(view.element);
        fresh.push(view);
      } else if (!all) continue;
      const { width, height } = this.geometry;
      view.place(...placeIn(this.geometry, row, column), width, height);
      if (this.labelled) setText(view.label, nameOf(this.app.store, cell));
      view.mark(this.app.state);
    }
    return all ? null : fresh;
  }

  // Pictures of the current stop. `views`: only these are new; null: all in view.
  frames(views = null) {
    const { app } = this;
    const missing = [];
    for (const view of views || this.views.values()) {
      const step = app.stepOf(view.cell);
      if (!view.show(step)) missing.push([view.cell, step]);
    }
    this.element.dataset.missing = missing.length;
    if (!missing.length) return;
    if (this.loading) {
      this.missed = true; // the slider or the view has moved on while a load is under way
      return;
    }
    this.loading = app.pictures.load(missing).then((arrived) => {
      this.loading = null;
      if (arrived || this.missed) app.later("frames");
      this.missed = false;
    });
  }

  marks() {
    const { state } = this.app;
    for (const view of this.views.values()) view.mark(state);
    const current = state.cell === null ? "" : `cell-${state.cell}`;
    this.element.setAttribute("aria-activedescendant", current);
  }

  get shownCells() {
    return [...this.views.values()].map((view) => view.cell);
  }

  // Brings a cell into view, clear of the headers.
  reveal(cell) {
    const { geometry, element } = this;
    const [row, column] = this.flow ? this.placeInFlow(cell) : placeOf(this.grid, cell);
    if (row < 0) return;
    const [x, y] = placeIn(geometry, row, column);
    const right = x + geometry.stepX + geometry.sideWidth - element.clientWidth;
    const bottom = y + geometry.stepY + geometry.topHeight - element.clientHeight;
    element.scrollLeft = clamp(element.scrollLeft, right, Math.max(right, x - GAP));
    element.scrollTop = clamp(element.scrollTop, bottom, Math.max(bottom, y - GAP));
  }

  placeInFlow(cell) {
    const at = this.flow.indexOf(cell);
    const { columns } = this.geometry;
    return at < 0 ? [-1, -1] : [Math.floor(at / columns), at % columns];
  }

  restore() {
    if (this.scroll) [this.element.scrollLeft, this.element.scrollTop] = this.scroll;
  }
}

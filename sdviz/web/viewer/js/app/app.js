// One viewer: its state, its bars and views, and what is drawn anew when something changes.

// What a change of state touches; anything not named here lays the view out anew.
const LIGHT = {
  at: "frames",
  own: "frames",
  zoom: "zoom",
  cell: "marks",
  a: "marks",
  b: "marks",
  marks: "marks",
  speed: "bars",
  back: "bars",
};

const VIEWS = {
  sheet: Sheet,
  inspect: Inspector,
  strips: Strips,
  compare: Compare,
  curves: Curves,
  timings: Timings,
  figures: Figures,
};
const WITHOUT_SLIDER = ["strips", "curves", "timings", "figures"];

class App {
  // `inHash`: a page of its own, which keeps what was chosen in its address.
  constructor(store, { inHash }) {
    this.store = store;
    this.inHash = inHash;
    this.pictures = new Pictures(store);
    this.prefetch = new Prefetch(this);
    this.records = new Records(this);
    this.dirty = new Set();
    this.unit = 13;
    this.said = h("div", { class: "said" }, say("loading"));
    this.main = h("div", { class: "main" }, this.said);
    this.root = h("div", { class: "app", tabindex: "-1", lang: LANGUAGE }, this.main);
    this.root.sdvizApp = this; // for tests and for the console
    this.root.addEventListener("keydown", (event) => pressed(this, event));
    // Who points here means these keys, unless something else is being used.
    this.root.addEventListener("pointerenter", () => {
      if (document.activeElement === document.body) this.root.focus({ preventScroll: true });
      store.askAgain();
    });
    new ResizeObserver(() => this.measure()).observe(this.root);
    store.shown = () => this.root.isConnected;
    store.listeners.add((changed) => this.heard(changed));
  }

  async start() {
    await this.store.start();
    this.build();
  }

  // Once there is a description: everything that needs its axes.
  build() {
    const { store } = this;
    this.initial = defaultState(store);
    this.state = this.inHash ? fromHash(location.hash, this.initial, store) : { ...this.initial };
    this.savedView = this.state.view;
    if (this.inHash) addEventListener("hashchange", () => this.readHash());
    this.shape = shapeOf(store);
    this.status = new StatusBar(this);
    this.turner = new Turner(this);
    this.axes = new AxesBar(this);
    this.transport = new Transport(this);
    const made = Object.entries(VIEWS).map(([name, View]) => [name, new View(this)]);
    this.views = Object.fromEntries(made);
    this.dialogs = { help: new Help(this), marks: new Marks(this) };
    this.main.replaceChildren(...made.map(([, view]) => view.element));
    this.main.before(this.status.element, this.axes.element);
    const dialogs = Object.values(this.dialogs).map((dialog) => dialog.element);
    this.root.append(this.transport.element, ...dialogs);
    this.measure();
  }

  // The size of type follows the width: 13 px at 1280, 20 at 3840, 14 on a phone.
  measure() {
    const width = this.root.clientWidth || 1280;
    this.unit = width < 600 ? 14 : Math.round(clamp(9.5 + width * 0.0027, 13, 20));
    this.root.style.fontSize = `${this.unit}px`;
    this.root.classList.toggle("narrow", width < 760);
    if (this.state) this.later("layout");
  }

  set(change) {
    const before = this.state.view;
    Object.assign(this.state, change);
    if (before !== this.state.view) {
      this.point(null);
      this.root.focus({ preventScroll: true }); // what had the focus may be hidden now
    }
    for (const name of Object.keys(change)) this.later(LIGHT[name] || "layout");
  }

  later(kind) {
    this.dirty.add(kind);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const { dirty, store } = this;
    this.dirty = new Set();
    if (!this.state) return setText(this.said, say(store.lost || "loading"));
    const view = this.views[this.state.view];
    if (dirty.has("layout")) this.layout(view);
    else {
      if (dirty.has("data") && view.data) view.data();
      if (dirty.has("record") && view.recorded) view.recorded();
      if (dirty.has("scroll") && view.fill) view.fill();
      if (dirty.has("frames")) view.frames();
      if (dirty.has("marks")) view.marks();
    }
    this.applyZoom();
    this.transport.update();
    this.status.update();
    this.saveHash();
    return this.prefetch.soon();
  }

  layout(view) {
    const name = this.state.view;
    this.grid = matrix(this.store, this.state);
    for (const other of Object.values(this.views)) other.element.hidden = other !== view;
    this.root.dataset.view = name;
    this.root.classList.toggle("tools-open", Boolean(this.state.tools));
    this.root.classList.toggle("no-transport", WITHOUT_SLIDER.includes(name));
    view.layout();
    view.marks();
    this.axes.update();
  }

  applyZoom() {
    const { k, x, y } = this.state.zoom;
    const { style, classList } = this.root;
    style.setProperty("--zoom", k);
    style.setProperty("--zx", `${x * 100}%`);
    style.setProperty("--zy", `${y * 100}%`);
    classList.toggle("zoomed", k > 1);
    const { pictures } = this;
    const before = pictures.isCoarse;
    pictures.shown = (this.shownSize || 0) * devicePixelRatio * k;
    if (pictures.isCoarse !== before) this.later("frames");
  }

  // The store tells of changed cells (a list), or of a whole new description (null).
  heard(changed) {
    if (changed === null && this.state) this.rebuilt();
    if (changed && changed.length) {
      this.pictures.changed();
      this.later("frames");
      this.later("data");
    }
    this.later("bars");
  }

  // What was chosen stays where the axes are still the same.
  rebuilt() {
    const shape = shapeOf(this.store);
    if (this.shape !== shape) Object.assign(this.state, defaultState(this.store));
    this.shape = shape;
    this.pictures.changed();
    this.later("layout");
  }

  stepOf(cell) {
    return frameStep(this.store, cell, this.state.align, this.state.at);
  }

  // The cell under the pointer, or null.
  point(cell) {
    this.pointed = cell;
  }

  // The cell that the keys walk from, that the inspector shows and that the slider's figures are
  // about.
  currentCell() {
    const chosen = this.store.byIndex.get(this.state.cell);
    return chosen || cellsOf(this.grid || matrix(this.store, this.state))[0] || null;
  }

  // What a key such as a, b or m is about.
  targetCell() {
    return this.pointed || this.currentCell();
  }

  // Whether pictures of the current stop are still to come.
  get waiting() {
    return Number(this.views[this.state.view].element.dataset.missing || 0) > 0;
  }

  // A view is a place that the browser's Back leads from; all else changes where one is.
  saveHash() {
    if (!this.inHash) return;
    clearTimeout(this.hashTimer);
    this.hashTimer = setTimeout(() => {
      const { view } = this.state;
      const hash = toHash(this.state, this.initial);
      const bare = location.pathname + location.search;
      const method = view === this.savedView ? "replaceState" : "pushState";
      this.savedView = view;
      if (hash !== location.hash) history[method](null, "", hash || bare);
    }, 250);
  }

  // Back, forward, or an address that somebody has put in. What has been picked stays picked.
  readHash() {
    clearTimeout(this.hashTimer);
    const { a, b, marks } = this.state;
    const chosen = fromHash(location.hash, { ...this.initial, a, b, marks }, this.store);
    this.savedView = chosen.view;
    this.set(Object.fromEntries(SAVED.map((name) => [name, chosen[name]])));
  }

  toggleDialog(name, about) {
    const dialog = this.dialogs[name];
    if (dialog.element.open) return dialog.element.close();
    dialog.update(about);
    return dialog.element.showModal();
  }

  // Visdom has put the element into the page again: an ended sweep may have been taken up again.
  again() {
    if (this.store.ended) this.store.reload().then(() => this.store.follow());
    else this.store.follow();
    requestAnimationFrame(() => this.views.sheet.restore());
  }
}

const shapeOf = (store) => JSON.stringify(store.dims.map((dim) => [dim.keys, dim.labels.length]));

// Two cells at the same stop of the slider: side by side, divider, blend, flicker, difference.

const MODES = ["side", "divider", "blend", "flicker", "difference"];
const FLICKER_MS = 500;

class Compare {
  constructor(app) {
    this.app = app;
    const picture = (name) => h("img", { alt: name, draggable: "false" });
    const word = () => h("span", { class: "word" });
    const tag = (name, more = "") => h("span", { class: `tags ${more}` }, name);
    this.images = [picture("A"), picture("B")];
    this.words = [word(), word()];
    this.map = h("canvas", {});
    this.handle = h("div", { class: "handle", role: "separator", "aria-label": say("divider") });
    this.handle.addEventListener("pointerdown", (event) => this.drag(event));
    const clip = h("div", { class: "clip" }, this.images[1], this.words[1]);
    this.one = h("div", { class: "pic first" }, this.images[0], this.words[0], tag("A"));
    this.two = h("div", { class: "pic second" }, clip, this.map, tag("B", "right"), this.handle);
    this.pair = h("div", { class: "pair" }, this.one, this.two);
    this.scale = new HeatScale();
    this.stage = h("div", { class: "stage" }, this.pair, this.scale.element);
    this.pickers = [
      new Picker(app, "A", (cell) => app.set({ a: cell.i })),
      new Picker(app, "B", (cell) => app.set({ b: cell.i })),
    ];
    this.distance = new Distance((readable) => this.drawMap(readable));
    this.element = h("div", { class: "compare" }, this.picksBar(), this.stage, this.modesBar());
    attachZoom(app, this.stage, { plainWheel: true });
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  picksBar() {
    const swap = () => this.app.set({ a: this.cells[1].i, b: this.cells[0].i });
    const [a, b] = this.pickers.map((picker) => picker.element);
    const middle = button(say("swap"), swap, { class: "swap" });
    const side = (name, lists) => h("div", { class: "group" }, h("b", {}, name), lists);
    return h("div", { class: "bar picks" }, side("A", a), middle, side("B", b));
  }

  modesBar() {
    const { app } = this;
    const mode = (name) => button(say(name), () => app.set({ mode: name }), { "data-mode": name });
    this.modes = h("div", { class: "modes", role: "group" }, MODES.map(mode));
    const mixed = () => app.set({ mix: Number(this.mix.value) });
    const range = { type: "range", min: 0, max: 1, step: 0.01, "aria-label": say("blend") };
    this.mix = h("input", { ...range, oninput: mixed });
    this.gain = h("select", { onchange: () => app.set({ gain: Number(this.gain.value) }) });
    this.mixLabel = h("label", {}, h("span", {}, "A – B"), this.mix);
    this.gainLabel = h("label", {}, h("span", {}, say("gain")), this.gain);
    const parts = [this.modes, this.mixLabel, this.gainLabel, this.distance.element];
    return h("div", { class: "bar below" }, parts);
  }

  // The picked cells; until both are picked, the current cell and one beside it.
  get cells() {
    const { store, state, grid } = this.app;
    const a = store.byIndex.get(state.a) || this.app.currentCell();
    if (!a) return [];
    const around = [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ].map(([dx, dy]) => neighbour(grid, a, dx, dy));
    const beside = around.find(Boolean) || store.cells.find((cell) => cell !== a) || a;
    return [a, store.byIndex.get(state.b) || beside];
  }

  layout() {
    const { state } = this.app;
    const { mode, mix, gain } = state;
    const { cells } = this;
    if (!cells.length) return;
    this.element.dataset.mode = mode;
    for (const one of this.modes.children) {
      one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    }
    this.pickers.forEach((picker, side) => picker.show(cells[side]));
    const gains = [1, 2, 4, 8, 16].map((value) => [value, `× ${value}`]);
    setOptions(this.gain, gains, gain);
    if (Number(this.mix.value) !== mix) this.mix.value = mix;
    this.mixLabel.hidden = !["divider", "blend"].includes(mode);
    this.gainLabel.hidden = mode !== "difference";
    this.scale.show(mode === "difference", gain);
    this.pair.style.setProperty("--mix", mix);
    this.pair.style.setProperty("--gain", gain);
    this.flicker(mode === "flicker");
    this.fit();
    this.frames();
  }

  // Pictures as large as the stage allows, in the cells' own shape; one above the other on a tall
  // stage.
  fit() {
    const [cell] = this.cells;
    const { clientWidth, clientHeight } = this.stage;
    if (!cell || !clientWidth) return;
    const recipe = this.app.store.recipe(cell);
    const shape = (recipe.width || 1) / (recipe.height || 1);
    const { mode } = this.app.state;
    const side = mode === "side";
    const upright = side && clientWidth < clientHeight * shape * 1.2;
    this.stage.classList.toggle("upright", upright);
    const room = clientWidth - 24 - (mode === "difference" ? 80 : 0);
    const width = room / (side && !upright ? 2 : 1) - 8;
    const height = (clientHeight - 24) / (upright ? 2 : 1) - 8;
    const wide = Math.max(48, Math.floor(Math.min(width, height * shape)));
    for (const picture of [this.one, this.two]) {
      Object.assign(picture.style, { width: `${wide}px`, height: `${Math.floor(wide / shape)}px` });
      picture.classList.toggle("enlarged", wide >= 3 * (recipe.width || wide));
    }
  }

  frames() {
    const { app } = this;
    const missing = [];
    const addresses = this.cells.map((cell, side) => {
      const step = app.stepOf(cell);
      const address = step === null ? "" : app.pictures.now(cell, step, true);
      const image = this.images[side];
      setText(this.words[side], step === null ? say(cell.s) : "");
      if (step === null) image.removeAttribute("src");
      else if (!address) missing.push([cell, step, true]);
      else if (image.getAttribute("src") !== address) image.src = address;
      if (address) Object.assign(image.dataset, { step, cell: cell.i });
      return address;
    });
    if (missing.length) app.pictures.load(missing).then((arrived) => arrived && this.frames());
    else this.distance.measure(addresses);
  }

  drawMap(readable) {
    const { mode, gain } = this.app.state;
    this.two.classList.toggle("unreadable", !readable);
    if (readable && mode === "difference") drawDifference(this.map, ...this.distance.pixels, gain);
  }

  // A and B in turn, until the view is left.
  flicker(on) {
    clearInterval(this.flickering);
    this.two.classList.remove("off");
    if (!on) return;
    this.flickering = setInterval(() => {
      if (this.element.hidden) clearInterval(this.flickering);
      else this.two.classList.toggle("off");
    }, FLICKER_MS);
  }

  drag(event) {
    event.stopPropagation();
    event.preventDefault();
    const { handle } = this;
    handle.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const frame = this.two.getBoundingClientRect();
      this.app.set({ mix: clamp((moved.clientX - frame.left) / frame.width, 0, 1) });
    };
    handle.addEventListener("pointermove", move);
    const release = () => handle.removeEventListener("pointermove", move);
    handle.addEventListener("pointerup", release, { once: true });
  }

  marks() {
    this.layout();
  }

  get shownCells() {
    return this.cells;
  }
}

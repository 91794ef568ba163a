// One cell: its picture in full size with its own slider, and everything that is known about it.

class Inspector {
  constructor(app) {
    this.app = app;
    this.image = h("img", { alt: "", draggable: "false" });
    this.word = h("span", { class: "word" });
    this.picture = h("div", { class: "pic" }, this.image, this.word);
    this.stage = h("div", { class: "stage" }, this.picture);
    this.caption = h("h2", {});
    this.actions = h("div", { class: "row" });
    this.facts = new Facts(app);
    const side = h("div", { class: "facts-side" }, this.caption, this.actions, this.facts.parts);
    this.element = h("div", { class: "inspector" }, this.stage, side);
    attachZoom(app, this.stage, { plainWheel: true });
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  layout() {
    const { app } = this;
    const cell = app.currentCell();
    if (!cell) return;
    setText(this.caption, nameOf(app.store, cell) || app.store.description.name);
    this.facts.settings(cell);
    this.data();
    this.fit();
    this.frames();
  }

  // The picture as large as the stage allows, in the cell's own shape.
  fit() {
    const cell = this.app.state && this.app.currentCell();
    if (!cell || !this.stage.clientWidth) return;
    const recipe = this.app.store.recipe(cell);
    const shape = (recipe.width || 1) / (recipe.height || 1);
    const [width, height] = [this.stage.clientWidth - 32, this.stage.clientHeight - 32];
    const wide = Math.floor(Math.max(64, Math.min(width, height * shape)));
    const size = { width: `${wide}px`, height: `${Math.floor(wide / shape)}px` };
    Object.assign(this.picture.style, size);
    this.picture.classList.toggle("enlarged", wide >= 3 * (recipe.width || wide));
  }

  showActions(cell) {
    const { app } = this;
    const { state, store } = app;
    const toggle = (name, on, action) => button(say(name), action, { "aria-pressed": String(on) });
    const marked = state.marks.includes(cell.i);
    const actions = [
      toggle("setA", state.a === cell.i, () => app.set({ a: cell.i })),
      toggle("setB", state.b === cell.i, () => app.set({ b: cell.i })),
      toggle(marked ? "unmark" : "mark", marked, () => toggleMark(app, cell)),
    ];
    actions.push(button(say("command"), () => app.toggleDialog("marks", cell)));
    const address = cell.s === "done" ? app.pictures.now(cell, 0, true) : "";
    if (address) actions.push(this.download(cell, address));
    if (store.description.live_control) {
      actions.push(button(say("rerun"), () => rerun(app, cell, "again")));
      actions.push(button(say("seeds"), () => rerun(app, cell, "seeds")));
    }
    this.actions.replaceChildren(
      ...actions,
      button(say("close"), () => goBack(app)),
    );
  }

  download(cell, address) {
    const target = { target: "_blank", rel: "noopener", download: cell.img || `${cell.i}.png` };
    return h("a", { class: "button", href: address, ...target }, say("openImage"));
  }

  frames() {
    const { app, image } = this;
    const cell = app.currentCell();
    if (!cell) return;
    const step = shownStep(cell, app.state.own);
    const address = step === null ? "" : app.pictures.now(cell, step, true);
    setText(this.word, step === null ? say(cell.s) : "");
    this.facts.latent(cell, step);
    if (step !== null && !address) {
      app.pictures.load([[cell, step, true]]).then((arrived) => arrived && this.frames());
      return;
    }
    if (step === null) image.removeAttribute("src");
    else if (image.getAttribute("src") !== address) image.src = address;
    Object.assign(image.dataset, { step, cell: cell.i });
    image.alt = `${nameOf(app.store, cell)} · ${say("step")} ${step || app.store.steps(cell)}`;
  }

  marks() {
    const cell = this.app.currentCell();
    if (cell) this.showActions(cell);
  }

  // The cell has changed: it may have ended.
  data() {
    const cell = this.app.currentCell();
    if (!cell) return;
    this.showActions(cell);
    this.facts.timing(cell);
    this.facts.scored(cell);
    this.facts.notes(cell);
  }

  // Its record has come.
  recorded() {
    this.data();
    this.frames();
  }
}

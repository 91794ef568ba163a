// One picture with its caption, as the sheet and the film strips show it.

class CellView {
  constructor(app, cell) {
    this.app = app;
    this.cell = cell;
    this.image = h("img", { alt: "", draggable: "false", decoding: "sync" });
    this.word = h("span", { class: "word" });
    this.tags = h("span", { class: "tags" });
    this.picture = h("div", { class: "pic" }, this.image, this.word, this.tags);
    this.left = h("span");
    this.right = h("span");
    this.label = h("div", { class: "lab" });
    this.element = h(
      "div",
      { class: "cell", role: "button", "data-cell": cell.i },
      this.label,
      this.picture,
      h("div", { class: "cap" }, this.left, this.right),
    );
    this.image.addEventListener("error", () => this.image.removeAttribute("src"));
  }

  place(x, y, width, height) {
    const { style } = this.element;
    style.transform = `translate(${x}px, ${y}px)`;
    style.width = `${width}px`;
    this.picture.style.height = `${height}px`;
  }

  // Shows `step` (0 final, null nothing yet). False when its picture must be loaded first; the old
  // one stays meanwhile.
  show(step, large = false) {
    const { cell, app } = this;
    const address = step === null ? "" : app.pictures.now(cell, step, large);
    this.caption(step);
    if (step === null) {
      this.image.removeAttribute("src");
      this.image.removeAttribute("data-step");
      return true;
    }
    if (!address) return false;
    if (this.image.getAttribute("src") !== address) this.image.src = address;
    this.image.dataset.step = step;
    return true;
  }

  caption(step) {
    const { cell, app } = this;
    const steps = app.store.steps(cell);
    const shown = step === 0 ? steps : step;
    const state = say(cell.s);
    this.element.dataset.state = cell.s;
    setText(
      this.word,
      cell.s === "failed" ? `${state}: ${cell.e || ""}` : step === null ? state : "",
    );
    setText(this.left, step === null ? "" : `${shown}/${steps}`);
    setText(
      this.right,
      cell.s === "done" ? figureOf(cell, app.state.order) : state,
    );
    this.image.alt = `${nameOf(app.store, cell)} · ${say("step")} ${shown === null ? 0 : shown}`;
    this.element.setAttribute("aria-label", this.image.alt);
  }

  mark(state) {
    const { element, cell } = this;
    element.classList.toggle("current", state.cell === cell.i);
    if (element.role === "option") element.ariaSelected = String(state.cell === cell.i);
    element.classList.toggle("marked", state.marks.includes(cell.i));
    const tags = (state.a === cell.i ? "A" : "") + (state.b === cell.i ? "B" : "");
    setText(this.tags, tags);
  }
}

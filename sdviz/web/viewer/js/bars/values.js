// Which values of an axis are shown: a list of boxes that opens under the axis.

class ValuesMenu {
  constructor(app, dim, index) {
    this.app = app;
    this.dim = dim;
    this.index = index;
    this.summary = h("summary", { title: say("hide") });
    this.menu = h("div", { class: "menu" });
    this.element = h("details", { class: "values" }, this.summary, this.menu);
    this.element.addEventListener("toggle", () => this.update());
    // It closes when one turns elsewhere.
    this.element.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.element.contains(event.relatedTarget)) this.close();
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      event.stopPropagation();
      this.close();
    });
  }

  close() {
    this.element.open = false;
  }

  get hidden() {
    return this.app.state.hidden[this.index];
  }

  // Boxes are made when it is opened first, so that an axis of a thousand seeds costs nothing.
  update() {
    const all = this.dim.labels.length;
    const left = all - this.hidden.length;
    setText(this.summary, left === all ? String(all) : `${left}/${all}`);
    if (!this.element.open) return;
    if (!this.boxes) this.fill();
    this.boxes.forEach((box, value) => {
      box.checked = !this.hidden.includes(value);
    });
  }

  fill() {
    const box = (value) => h("input", { type: "checkbox", onchange: () => this.toggle(value) });
    this.boxes = this.dim.labels.map((_, value) => box(value));
    const rows = this.boxes.map((one, value) =>
      h("label", {}, one, h("span", {}, this.dim.labels[value])),
    );
    this.menu.replaceChildren(
      button(say("all"), () => this.set([])),
      ...rows,
    );
  }

  // The last value stays: an empty sheet helps nobody.
  toggle(value) {
    const { hidden } = this;
    const next = hidden.includes(value)
      ? hidden.filter((other) => other !== value)
      : [...hidden, value];
    if (next.length < this.dim.labels.length) this.set(next);
    else this.update();
  }

  set(hidden) {
    this.app.set({ hidden: replaced(this.app.state.hidden, this.index, hidden) });
  }
}

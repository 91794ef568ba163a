// The row of choices above the sheet: which axis is rows, columns or pages, hidden values, order,
// size, captions.

class AxesBar {
  constructor(app) {
    this.app = app;
    this.list = h("div", { class: "group axes" });
    this.order = h("select", {
      "aria-label": say("order"),
      onchange: () => app.set({ order: this.order.value }),
    });
    this.size = h("input", {
      type: "range",
      min: 48,
      max: 768,
      step: 8,
      "aria-label": say("size"),
      oninput: () => app.set({ size: Number(this.size.value) }),
    });
    this.captions = h("input", {
      type: "checkbox",
      onchange: () => app.set({ captions: this.captions.checked }),
    });
    this.element = h(
      "div",
      { class: "bar tools", role: "toolbar", "aria-label": say("axes") },
      this.list,
      h("div", { class: "group" }, h("label", {}, h("span", {}, say("order")), this.order)),
      h(
        "div",
        { class: "group" },
        h("label", {}, h("span", {}, say("size")), this.size),
        button(say("fit"), () => app.set({ size: null }), { class: "fit" }),
      ),
      h("div", { class: "group" }, h("label", {}, this.captions, h("span", {}, say("captions")))),
      button(say("savePicture"), () => savePicture(app), { class: "save" }),
    );
  }

  update() {
    const { app } = this;
    const { state, store } = app;
    setOptions(this.order, orderOptions(ordersOf(store)), state.order);
    if (document.activeElement !== this.size) this.size.value = state.size || app.shownSize || 128;
    this.captions.checked = state.captions;
    if (!this.axes || this.dims !== store.dims) {
      this.dims = store.dims;
      this.axes = store.dims.map((dim, index) => this.axis(dim, index));
      this.list.replaceChildren(...this.axes.map((axis) => axis.element));
    }
    this.axes.forEach((axis, index) => axis.update(index));
  }

  axis(dim, index) {
    const { app } = this;
    const role = h("select", {
      "aria-label": `${dim.keys.join("+")}: ${ROLES.map(say).join(", ")}`,
      class: "role",
      onchange: () => app.set({ roles: replaced(app.state.roles, index, role.value) }),
    });
    const page = h("select", {
      class: "page",
      "aria-label": `${say("page")} ${dim.keys.join("+")}`,
      onchange: () => app.set({ page: replaced(app.state.page, index, Number(page.value)) }),
    });
    const turn = button("", () => app.turner.toggle(index), {
      class: "play",
      title: say("turn"),
      "aria-label": `${say("turn")}: ${dim.keys.join("+")}`,
    });
    const values = new ValuesMenu(app, dim, index);
    const element = h(
      "div",
      { class: "axis", "data-axis": dim.keys.join("+") },
      h("b", {}, dim.keys.join("+")),
      role,
      page,
      turn,
      values.element,
    );
    const update = () => {
      setOptions(
        role,
        ROLES.map((name) => [name, say(name)]),
        app.state.roles[index],
      );
      const paged = app.state.roles[index] === "page";
      page.hidden = !paged;
      turn.hidden = !paged;
      turn.classList.toggle("on", app.turner.axis === index);
      turn.setAttribute("aria-pressed", String(app.turner.axis === index));
      values.element.hidden = paged;
      setOptions(
        page,
        dim.labels.map((label, value) => [value, label]),
        app.state.page[index],
      );
      values.update();
    };
    return { element, update };
  }
}

const replaced = (list, index, value) => list.map((old, at) => (at === index ? value : old));

// Rows become columns and columns rows.
function transposed(roles) {
  return roles.map((role) => ({ rows: "columns", columns: "rows", page: "page" })[role]);
}

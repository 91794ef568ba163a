// One list per axis: any cell can be picked without the sheet.

class Picker {
  // `picked(cell)` is called with the chosen cell; `name` is put before the axis for a screen
  // reader.
  constructor(app, name, picked) {
    this.app = app;
    this.name = name;
    this.picked = picked;
    this.element = h("div", { class: "pick" });
  }

  // `without`: an axis that is not chosen here.
  show(cell, without = -1) {
    const { dims } = this.app.store;
    if (this.dims !== dims) {
      this.dims = dims;
      this.lists = dims.map((dim, index) => this.list(dim, index));
      this.element.replaceChildren(...this.lists);
    }
    this.cell = cell;
    dims.forEach((dim, index) => {
      const name = dim.keys.join("+");
      const options = dim.labels.map((label, value) => [value, `${name} ${label}`]);
      setOptions(this.lists[index], options, cell.c[index]);
      this.lists[index].hidden = index === without;
    });
  }

  list(dim, index) {
    const label = [this.name, dim.keys.join("+")].filter(Boolean).join(" ");
    const list = h("select", { "aria-label": label });
    list.addEventListener("change", () => {
      const chosen = this.app.store.at(replaced(this.cell.c, index, Number(list.value)));
      if (chosen) this.picked(chosen);
      else this.show(this.cell); // a combination that was excluded
    });
    return list;
  }
}

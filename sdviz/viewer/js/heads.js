// Row and column headers that stay in view; only those near the view have elements.

class Heads {
  constructor(side) {
    this.side = side; // "top" or "side"
    this.element = h("div", { class: `heads ${side}` });
    this.kept = new Map();
  }

  // `list`: lines of the matrix; [first, last) are near the view; `all`: positions have changed.
  show(list, [first, last], geometry, all) {
    for (const [index, element] of this.kept) {
      if (!all && index >= first && index < last) continue;
      element.remove();
      this.kept.delete(index);
    }
    for (let index = first; index < last; index += 1) {
      if (this.kept.has(index)) continue;
      const element = this.label(list[index].labels, index ? list[index - 1].labels : []);
      const [x, y] = placeIn(geometry, index, index);
      const place =
        this.side === "top"
          ? { left: `${geometry.sideWidth + x}px`, width: `${geometry.width}px` }
          : { top: `${y}px`, height: `${geometry.height}px` };
      Object.assign(element.style, place);
      this.kept.set(index, element);
      this.element.append(element);
    }
  }

  // What the line before says too is quieter.
  label(labels, before) {
    const same = (at) => labels.slice(0, at + 1).every((label, upTo) => label === before[upTo]);
    const parts = labels.map((label, at) => h("span", { class: same(at) ? "same" : "" }, label));
    return h("div", { class: "label", title: labels.join(" · ") }, parts);
  }
}

// "sampler \ cfg": what the rows and what the columns are.
function axisNames(store, state) {
  const names = (role) =>
    store.dims
      .filter((_, index) => state.roles[index] === role)
      .map((dim) => dim.keys.join("+"))
      .join(" × ");
  return { rows: names("rows"), columns: names("columns") };
}

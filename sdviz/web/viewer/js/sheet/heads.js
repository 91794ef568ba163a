// Row and column headers that stay in view; only those near the view have elements.

class Heads {
  constructor(side) {
    this.side = side; // "top" or "side"
    this.element = h("div", { class: `heads ${side}` });
    this.kept = new Map();
  }

  // `list`: lines of the matrix; [first, last) are near the view; `all`: positions have changed;
  // `names`: of the axes, where no corner tells them.
  show(list, [first, last], geometry, all, names = []) {
    for (const [index, element] of this.kept) {
      if (!all && index >= first && index < last) continue;
      element.remove();
      this.kept.delete(index);
    }
    for (let index = first; index < last; index += 1) {
      if (this.kept.has(index)) continue;
      const element = this.label(list[index].labels, index ? list[index - 1].labels : [], names);
      if (this.side === "side") share(element, geometry);
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
  label(labels, before, names) {
    const same = (at) => labels.slice(0, at + 1).every((label, upTo) => label === before[upTo]);
    const text = (label, at) => (names[at] ? `${names[at]} ${label}` : label);
    const part = (label, at) => h("span", { class: same(at) ? "same" : "" }, text(label, at));
    const parts = labels.map(part);
    return h("div", { class: "label", title: labels.join(" · ") }, parts);
  }
}

// Every label of a row gets one line of its height, and what is left goes to the last ones first,
// which tell a row from the next; what the row before says too is hidden where not even that fits.
function share(element, { height, sideWidth, unit, measure }) {
  const parts = [...element.children];
  const lines = Math.max(1, Math.floor(height / (1.35 * unit)));
  const said = parts.filter((part) => part.className === "same");
  said.slice(0, Math.max(0, parts.length - lines)).forEach((part) => (part.hidden = true));
  const shown = parts.filter((part) => !part.hidden);
  let left = lines - shown.length;
  for (const part of shown.reverse()) {
    const wanted = Math.ceil(measure(part.textContent) / (sideWidth - 1.2 * unit));
    const more = part.className === "same" ? 0 : clamp(wanted - 1, 0, Math.max(0, left));
    part.style.webkitLineClamp = 1 + more;
    left -= more;
  }
}

// The names that labels need beside them; "" for an axis whose values say what they are.
const silent = (store, names) => names.map((name) => (store.setting(name).speaks ? "" : name));

// What the rows and what the columns are, an axis each.
function axisNames(store, state) {
  const names = (role) =>
    store.dims
      .filter((_, index) => state.roles[index] === role)
      .map((dim) => dim.keys.join("+"));
  return { rows: names("rows"), columns: names("columns") };
}

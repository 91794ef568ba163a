// One small line plot in SVG: axes, lines, and the point under the pointer.

const SVG = "http://www.w3.org/2000/svg";

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Round numbers that cover low..high, about `count` of them.
function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const raw = span / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= raw);
  const first = Math.ceil(low / step - 1e-9) * step;
  const list = [];
  for (let value = first; value <= high + step * 1e-6; value += step)
    list.push(Math.abs(value) < step * 1e-6 ? 0 : value);
  return list;
}

// The same on a logarithmic axis: 1, 2 and 5 of each power of ten; the powers alone where those are
// many, and round numbers where they are few.
function logTicks(low, high) {
  const list = (parts) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1)
      found.push(...parts.map((part) => part * 10 ** power));
    return found.filter((value) => value >= low && value <= high);
  };
  const fine = list([1, 2, 5]);
  if (fine.length < 3) return ticks(low, high, 5);
  return fine.length > 7 ? list([1]) : fine;
}

const tickText = (value) =>
  Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(0)
    : String(Number(value.toPrecision(4)));

class Plot {
  // `pick(series, point)` is called on a click.
  constructor({ pick }) {
    this.pick = pick;
    this.title = h("h3", {});
    this.about = h("p", { class: "about" });
    this.reading = h("div", { class: "reading" });
    this.svg = s("svg", { role: "img" });
    this.element = h("figure", { class: "plot" }, this.title, this.svg, this.reading, this.about);
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.svg.addEventListener("pointerleave", () => this.unhover());
    this.svg.addEventListener(
      "click",
      () => this.near && this.pick && this.pick(this.near.series, this.near.point),
    );
  }

  // series: [{name, colour, points: [{x, y, ...}], dashed, dots}]; `log`: x is a noise level,
  // falling to the right. `logY`: y is above 0, and its orders of magnitude are told apart.
  show({ title, about, xLabel, series, log, logY, width, height, unit, faint }) {
    setText(this.title, title);
    setText(this.about, about || "");
    const usable = series
      .map((one) => ({
        ...one,
        points: one.points.filter(
          ({ x, y }) =>
            Number.isFinite(x) && Number.isFinite(y) && (!log || x > 0) && (!logY || y > 0),
        ),
      }))
      .filter((one) => one.points.length);
    const all = usable.flatMap((one) => one.points);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.setAttribute("aria-label", title);
    this.svg.replaceChildren();
    if (!all.length) return setText(this.reading, say("noCurves"));
    this.frame(all, { log, logY, width, height, unit });
    this.grid(xLabel, unit, { log, logY });
    for (const one of usable) this.line(one, faint);
    this.usable = usable;
    this.dot = s("circle", { r: 4, class: "dot", visibility: "hidden" });
    this.svg.append(this.dot);
    return this.unhover();
  }

  frame(points, { log, logY, width, height, unit }) {
    const place = log ? (x) => -Math.log10(x) : (x) => x;
    const xs = points.map((point) => place(point.x));
    const ys = points.map((point) => point.y);
    let [low, high] = [Math.min(...ys), Math.max(...ys)];
    const level = logY ? Math.log10 : (y) => y;
    if (logY) [low, high] = [low / 1.1, high * 1.1];
    else if (low > 0 && low < 0.6 * high) low = 0;
    if (high === low)
      [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
    else if (!logY) high += (high - low) * 0.04;
    const [left, right, top, bottom] = [
      4 * unit,
      width - 0.8 * unit,
      0.5 * unit,
      height - 2.9 * unit,
    ];
    let [first, last] = [Math.min(...xs), Math.max(...xs)];
    if (first === last) [first, last] = [first - 1, last + 1];
    this.area = { left, right, top, bottom, low, high, first, last };
    this.px = (x) => left + ((place(x) - first) / (last - first)) * (right - left);
    this.py = (y) =>
      bottom - ((level(y) - level(low)) / (level(high) - level(low))) * (bottom - top);
  }

  grid(xLabel, unit, { log, logY }) {
    const { left, right, top, bottom, low, high, first, last } = this.area;
    for (const value of logY ? logTicks(low, high) : ticks(low, high, 5)) {
      this.svg.append(
        s("line", { x1: left, x2: right, y1: this.py(value), y2: this.py(value), class: "grid" }),
      );
      this.svg.append(
        s(
          "text",
          { x: left - 0.5 * unit, y: this.py(value) + 0.35 * unit, class: "tick y" },
          tickText(value),
        ),
      );
    }
    const marks = log
      ? ticks(Math.ceil(-last), Math.floor(-first), 4)
          .filter(Number.isInteger)
          .map((power) => 10 ** power)
      : ticks(first, last, 6);
    for (const value of marks) {
      this.svg.append(
        s("line", {
          x1: this.px(value),
          x2: this.px(value),
          y1: bottom,
          y2: bottom + 4,
          class: "axis",
        }),
      );
      this.svg.append(
        s("text", { x: this.px(value), y: bottom + 1.3 * unit, class: "tick x" }, tickText(value)),
      );
    }
    this.svg.append(s("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" }));
    this.svg.append(
      s("text", { x: (left + right) / 2, y: bottom + 2.6 * unit, class: "axis-name" }, xLabel),
    );
    this.svg.append(
      s("clipPath", {}, s("rect", { x: left, y: top, width: right - left, height: bottom - top })),
    );
  }

  line(one, faint) {
    const path = one.points
      .map(
        (point, index) =>
          `${index ? "L" : "M"}${this.px(point.x).toFixed(1)} ${this.py(point.y).toFixed(1)}`,
      )
      .join("");
    one.path = s("path", {
      d: path,
      class: `line${one.dashed ? " dashed" : ""}${faint ? " faint" : ""}`,
      stroke: one.colour,
    });
    this.svg.append(one.path);
    if (!one.dots && one.points.length > 1) return;
    for (const point of one.points)
      this.svg.append(
        s("circle", { cx: this.px(point.x), cy: this.py(point.y), r: 2.5, fill: one.colour }),
      );
  }

  hover(event) {
    if (!this.usable) return;
    const frame = this.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    let best = null;
    for (const series of this.usable) {
      for (const point of series.points) {
        const far = Math.hypot(this.px(point.x) - x, (this.py(point.y) - y) * 1.5);
        if (!best || far < best.far) best = { far, series, point };
      }
    }
    if (!best || best.far > 60) return this.unhover();
    this.near = best;
    this.svg.classList.add("picking");
    for (const series of this.usable) series.path.classList.toggle("lit", series === best.series);
    this.dot.setAttribute("cx", this.px(best.point.x));
    this.dot.setAttribute("cy", this.py(best.point.y));
    this.dot.setAttribute("fill", best.series.colour);
    this.dot.setAttribute("visibility", "visible");
    return setText(
      this.reading,
      `${best.series.name}: ${figure(best.point.y)} @ ${figure(best.point.x)}`,
    );
  }

  unhover() {
    this.near = null;
    this.svg.classList.remove("picking");
    for (const series of this.usable || []) series.path.classList.remove("lit");
    if (this.dot) this.dot.setAttribute("visibility", "hidden");
    setText(this.reading, "\u00a0");
  }
}

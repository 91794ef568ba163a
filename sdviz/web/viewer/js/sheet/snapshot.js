// The sheet as one labelled picture, as it stands: its axes, hidden values, order, zoom and step.

const SNAPSHOT = { longest: 512, least: 192, side: 16000, pixels: 100e6, batch: 100 };

class Snapshot {
  constructor(app) {
    this.app = app;
    const { grid, flow, geometry } = app.views.sheet;
    this.flow = flow;
    const count = flow ? Math.ceil(flow.length / geometry.columns) : grid.rows.length;
    this.size = { rows: count, columns: geometry.columns };
    this.heads = flow ? { rows: [], columns: [] } : { rows: grid.rows, columns: grid.columns };
    this.names = flow ? { rows: [], columns: [] } : axisNames(app.store, app.state);
    this.pen = document.createElement("canvas").getContext("2d");
    this.measure();
  }

  // Pictures in their own size, within what a browser can draw.
  measure() {
    const { app, size } = this;
    const { shape } = app.store;
    const sides = cellsOf(app.grid).map((cell) => {
      const { width = 0, height = 0, hires_scale: scale = 1 } = app.store.recipe(cell);
      return Math.max(width, height) * scale;
    });
    const { longest, least, side, pixels } = SNAPSHOT;
    const room = Math.min(
      side / size.columns - 40,
      side / size.rows - 60,
      Math.sqrt(pixels / size.columns / size.rows) - 40,
    );
    const long = Math.max(16, Math.min(clamp(Math.max(...sides), least, longest), room));
    this.wide = Math.round(shape >= 1 ? long : long * shape);
    this.high = Math.round(shape >= 1 ? long / shape : long);
    this.type = Math.max(11, Math.round(long / 14));
    this.line = Math.round(1.35 * this.type);
    this.font = `${this.type}px system-ui, sans-serif`;
    this.pen.font = this.font;
    this.titles = this.wrapped(this.title(), size.columns * (this.wide + GAP));
    this.across = this.heads.columns.map((line) => this.lines(line, this.names.columns, this.wide));
    const deep = Math.max(1, this.wide, 14 * this.type);
    this.down = this.heads.rows.map((line) => this.lines(line, this.names.rows, deep));
    const widths = this.down.flat().map((text) => this.pen.measureText(text).width);
    this.left = widths.length ? Math.ceil(Math.max(...widths)) + 2 * GAP : GAP;
    const most = Math.max(0, ...this.across.map((lines) => lines.length));
    this.top = (this.titles.length + most) * this.line + 2 * GAP;
    const { captions } = app.state;
    this.caption = (captions ? this.line : 0) + (flowed(this) ? 2 * this.line : 0);
    this.stepX = this.wide + GAP;
    this.stepY = this.high + this.caption + GAP;
  }

  title() {
    const { store, state, transport } = this.app;
    const { step, sigma } = transport.readout;
    const stop = (state.align === "sigma" && state.at !== null ? sigma : step).textContent;
    return [store.description.name, stop, store.fixed.prompt].filter(Boolean).join(" · ");
  }

  // A header's values, each with its axis's name.
  lines({ labels }, names, width) {
    return labels.flatMap((label, at) =>
      this.wrapped(this.app.store.setting(names[at]).speaks ? label : `${names[at]} ${label}`, width),
    );
  }

  // `text` in lines no wider than `width`; words that are too long, and Chinese, break anywhere.
  wrapped(text, width) {
    const lines = [""];
    for (const part of text.match(/[\x21-\x7e]+\s*|[^\x21-\x7e]/g) || []) {
      const longer = lines.at(-1) + part;
      if (!lines.at(-1) || this.pen.measureText(longer.trimEnd()).width <= width)
        lines[lines.length - 1] = longer;
      else lines.push(part);
    }
    return lines.map((line) => line.trimEnd()).filter(Boolean);
  }

  cellAt(row, column) {
    if (this.flow) return this.flow[row * this.size.columns + column];
    return this.app.grid.cellAt(row, column);
  }

  // Resolves to a PNG. Rejects where this page may not read its pictures.
  async blob() {
    const { size, pen } = this;
    const canvas = pen.canvas;
    canvas.width = this.left + size.columns * this.stepX;
    canvas.height = this.top + size.rows * this.stepY;
    pen.fillStyle = "#757575";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = "#ffffff";
    pen.font = this.font;
    pen.textBaseline = "top";
    this.write(this.titles, GAP, GAP);
    const below = GAP + this.titles.length * this.line;
    this.across.forEach((lines, at) => this.write(lines, this.left + at * this.stepX, below));
    this.down.forEach((lines, at) => this.write(lines, GAP, this.top + at * this.stepY));
    const places = [];
    for (let row = 0; row < size.rows; row += 1)
      for (let column = 0; column < size.columns; column += 1)
        if (this.cellAt(row, column)) places.push([this.cellAt(row, column), row, column]);
    for (let from = 0; from < places.length; from += SNAPSHOT.batch)
      await this.draw(places.slice(from, from + SNAPSHOT.batch));
    return new Promise((resolve, reject) =>
      canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("too large")))),
    );
  }

  write(lines, x, y) {
    lines.forEach((text, at) => this.pen.fillText(text, x, y + at * this.line));
  }

  async draw(places) {
    const { app } = this;
    const shown = places.map(([cell]) => [cell, app.stepOf(cell), true]);
    await app.pictures.load(shown);
    const images = await Promise.all(
      shown.map(async ([cell, step, large]) => {
        const address = step === null ? "" : app.pictures.now(cell, step, large);
        const image = new Image();
        image.src = address;
        return address && image.decode().then(() => image, () => null);
      }),
    );
    places.forEach(([cell, row, column], at) => {
      const [x, y] = [this.left + column * this.stepX, this.top + row * this.stepY];
      if (images[at]) this.picture(images[at], x, y);
      else this.write([say(cell.s)], x + GAP, y + GAP);
      this.captionOf(cell, shown[at][1], x, y + this.high + 2);
    });
  }

  // With the zoom of the sheet, which is that of all pictures.
  picture(image, x, y) {
    const { pen, wide, high } = this;
    const { k, x: zx, y: zy } = this.app.state.zoom;
    pen.save();
    pen.beginPath();
    pen.rect(x, y, wide, high);
    pen.clip();
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, x + zx * wide, y + zy * high, k * wide, k * high);
    pen.restore();
  }

  captionOf(cell, step, x, y) {
    const { store, state } = this.app;
    const lines = flowed(this) ? this.wrapped(nameOf(store, cell), this.wide).slice(0, 2) : [];
    if (state.captions && step !== null) {
      const steps = store.steps(cell);
      const told = cell.s === "done" ? figureOf(cell, state.order) : "";
      lines.push(`${step || steps}/${steps}   ${told}`.trimEnd());
    }
    this.write(lines, x, y);
  }
}

const flowed = (snapshot) => Boolean(snapshot.flow && snapshot.app.store.dims.length);

// Saves what the sheet shows.
async function savePicture(app) {
  if (app.state.view !== "sheet" || !cellsOf(app.grid).length) return;
  const { at, align } = app.state;
  const stop = at === null ? "" : `-${align}-${figure(at)}`;
  try {
    const made = await new Snapshot(app).blob();
    saveFile(made, `${app.store.description.name || "sdviz"}${stop}.png`);
  } catch {
    app.status.tell(say("notReadable"));
  }
}

function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// What is known about one cell, as lists: settings, timings, the latent at a step, notes.

const MEASURES = [
  "mean",
  "std",
  "min",
  "max",
  "guidance",
  "distance",
  "reference",
  "clipped",
  "saturation",
];

class Facts {
  constructor(app) {
    this.app = app;
    this.list = h("dl", { class: "facts" });
    this.quiet = h("dl", { class: "facts" });
    this.further = h("details", {}, h("summary", {}, say("furtherSettings")), this.quiet);
    this.split = h("div", { class: "split" });
    this.scores = h("dl", { class: "facts scores" });
    this.scoresHead = h("h3", {}, say("scores"));
    this.figures = h("dl", { class: "facts latent" });
    this.told = h("ul", { class: "notes" });
    this.toldHead = h("h3", {}, say("notes"));
    const head = (name) => h("h3", {}, say(name));
    this.parts = [
      ...[head("settings"), this.list, this.further, head("timing"), this.split],
      ...[this.scoresHead, this.scores],
      ...[head("latent"), this.figures, this.toldHead, this.told],
    ];
  }

  row(name, value, kind = "") {
    return h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value));
  }

  // Settings that vary first; those that change nothing are folded away, the empty ones last.
  settings(cell) {
    const { store } = this.app;
    const varying = store.dims.flatMap((dim) => dim.keys);
    const empty = (value) => value === null || value === "";
    const rank = ([name, value]) => {
      if (varying.includes(name)) return varying.indexOf(name);
      return varying.length + (empty(value) ? 1 : 0);
    };
    const recipe = Object.entries(store.recipe(cell)).sort((a, b) => rank(a) - rank(b));
    const rows = (list) =>
      list.map(([name, value]) =>
        this.row(name, settingText(store.setting(name), value), varying.includes(name) ? "varying" : ""),
      );
    const { quiet = [] } = store.description;
    const isQuiet = ([name]) => quiet.includes(name);
    this.list.replaceChildren(...rows(recipe.filter((one) => !isQuiet(one))));
    this.quiet.replaceChildren(...rows(recipe.filter(isQuiet)));
    this.further.hidden = !quiet.length;
  }

  timing(cell) {
    const times = cell.t;
    if (!times) return this.split.replaceChildren(h("p", {}, say(cell.s)));
    const share = (name) => (times.total_s ? (100 * (times[name] || 0)) / times.total_s : 0);
    const bar = (name) => h("span", { class: "track" }, h("i", { style: `width:${share(name)}%` }));
    const row = (name, middle, kind = "") => {
      const value = h("span", { class: "num" }, seconds(times[name] || 0));
      return h("div", { class: `time ${kind}` }, h("span", {}, say(name)), middle, value);
    };
    const words = [];
    if (times.batch) words.push(`${say("batch")}: ${figure(times.batch)}`);
    if (cell.ev) words.push(`${say("evaluations")}: ${cell.ev}`);
    if (times.warmup) words.push(say("warmup"));
    if (cell.src) words.push(say("reused", { from: cell.src }));
    return this.split.replaceChildren(
      ...SPLIT.map((name) => row(name, bar(name))),
      row("total_s", h("span", {}), "sum"),
      ...(isComparable(cell) ? [row("comparable_s", h("span", {}), "sum")] : []),
      h("p", {}, words.join(" · ")),
    );
  }

  // `step`: 0 is the final image, which the last step's latent made.
  latent(cell, step) {
    const { frames = [] } = this.app.records.of(cell) || {};
    const record = frames.find((frame) => frame.step === (step || cell.f)) || {};
    const known = MEASURES.filter((name) => Number.isFinite(record[name]));
    this.figures.replaceChildren(
      this.row(say("step"), figure(record.step)),
      this.row("σ", figure(record.sigma)),
      this.row("t", figure(record.timestep)),
      ...known.map((name) => this.row(say(name), figure(record[name]))),
    );
  }

  // What other models say of the final image.
  scored(cell) {
    const { scores = {}, caption = "" } = this.app.store.scores[cell.i] || {};
    const rows = Object.entries(scores).map(([name, value]) => this.row(say(name), figure(value)));
    if (caption) rows.push(this.row(say("caption"), caption));
    this.scoresHead.hidden = !rows.length;
    this.scores.replaceChildren(...rows);
  }

  notes(cell) {
    const { notes = [], key = "" } = this.app.records.of(cell) || {};
    const own = notes.map((note) => note.text || String(note));
    const ofSweep = this.app.store.notes.map((note) => note.text);
    const texts = [cell.e, ...own, ...ofSweep, key && `key ${key}`];
    const told = texts.filter(Boolean);
    this.toldHead.hidden = !told.length;
    this.told.replaceChildren(...told.map((text) => h("li", {}, text)));
  }
}

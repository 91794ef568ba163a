// The one slider with play, its alignment, and the step, noise level and time where it stands.
// In the inspector the same slider belongs to the one cell.

const SPEEDS = [1, 2, 4, 8, 16, 30];

class Transport {
  constructor(app) {
    this.app = app;
    this.playing = null;
    this.play = button("", () => this.toggle(), { class: "play" });
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 1,
      "aria-label": say("slider"),
      class: "slider",
      oninput: () => this.moved(),
    });
    this.readout = new Readout(app);
    this.align = h("select", {
      "aria-label": say("align"),
      onchange: () => this.setAlign(this.align.value),
    });
    this.speed = h("select", {
      "aria-label": say("speed"),
      onchange: () => app.set({ speed: Number(this.speed.value) }),
    });
    this.element = h(
      "div",
      { class: "bar transport", role: "group", "aria-label": say("slider") },
      this.play,
      this.slider,
      this.readout.element,
      h("label", {}, h("span", {}, say("align")), this.align),
      this.speed,
    );
  }

  get alone() {
    return this.app.state.view === "inspect";
  }

  // Stops, and where among them the slider stands.
  where() {
    const { app } = this;
    const { state, store } = app;
    if (!this.alone) {
      const list = stops(store, state.align);
      return { list, index: stopIndex(list, state.align, state.at) };
    }
    const cell = app.currentCell();
    const list = Array.from({ length: cell ? store.steps(cell) : 1 }, (_, index) => index + 1);
    return { list, index: stopIndex(list, "step", state.own) };
  }

  seek(index) {
    const { list } = this.where();
    const at = index >= list.length ? null : list[Math.max(0, index)];
    this.app.set(this.alone ? { own: at } : { at });
  }

  moved() {
    this.stop();
    this.seek(Number(this.slider.value));
  }

  nudge(by) {
    this.stop();
    const { list, index } = this.where();
    this.seek(clamp(index + by, 0, list.length));
  }

  setAlign(align) {
    const { app } = this;
    const { state, store } = app;
    app.set({ align, at: convertAt(store, app.currentCell(), state.align, align, state.at) });
  }

  toggle() {
    if (this.playing) this.stop();
    else this.start();
    this.update();
  }

  start() {
    const { list, index } = this.where();
    if (index >= list.length) this.seek(0);
    const tick = () => {
      this.playing = setTimeout(tick, 1000 / this.app.state.speed);
      const waited = this.app.waiting;
      this.held = waited ? (this.held || 0) + 1 : 0;
      if (waited && this.held < 20) return;
      const { list: now, index: at } = this.where();
      // The final image stays for a second before the denoising begins anew.
      this.rest = at >= now.length ? (this.rest || 0) + 1 : 0;
      if (at < now.length) this.seek(at + 1);
      else if (this.rest > this.app.state.speed) this.seek(0);
    };
    this.playing = setTimeout(tick, 1000 / this.app.state.speed);
  }

  stop() {
    clearTimeout(this.playing);
    this.playing = null;
  }

  faster(by) {
    const index = SPEEDS.indexOf(this.app.state.speed) + by;
    this.app.set({ speed: SPEEDS[clamp(index, 0, SPEEDS.length - 1)] });
  }

  update() {
    const { app } = this;
    const { state } = app;
    const { list, index } = this.where();
    this.slider.max = list.length;
    if (Number(this.slider.value) !== index) this.slider.value = index;
    this.play.classList.toggle("on", Boolean(this.playing));
    this.play.setAttribute("aria-label", say(this.playing ? "pause" : "play"));
    this.play.title = say(this.playing ? "pause" : "play");
    setOptions(
      this.align,
      ALIGNMENTS.map((name) => [name, say(name)]),
      state.align,
    );
    this.align.disabled = this.alone;
    setOptions(
      this.speed,
      SPEEDS.map((value) => [value, `${value} ${say("perSecond")}`]),
      state.speed,
    );
    this.readout.show({ list, index, alone: this.alone });
    this.slider.setAttribute("aria-valuetext", this.readout.words);
  }
}

// Step, noise level and time where the slider stands.

class Readout {
  constructor(app) {
    this.app = app;
    const now = (name) => h("output", { class: `now ${name}`, title: say(`${name}Now`) });
    [this.step, this.sigma, this.time] = ["step", "sigma", "time"].map(now);
    this.element = h("div", { class: "readout" }, this.step, this.sigma, this.time);
  }

  // `list`, `index`: the slider's stops and where it stands; `alone`: it belongs to the inspected
  // cell only.
  show({ list, index, alone }) {
    const { state, store } = this.app;
    const cell = this.app.currentCell();
    if (!cell) return;
    const at = index < list.length ? list[index] : null;
    const align = alone ? "step" : state.align;
    const steps = store.steps(cell);
    const step = wantedStep(store, cell, align, at) || steps;
    setText(this.step, this.stepText({ at, align, step, steps, alone, cell }));
    const sigmas = store.sigmas(cell);
    const own = sigmas ? sigmas[step - 1] : undefined;
    const sigma = align === "sigma" && at !== null ? at : own;
    setText(this.sigma, sigma === undefined ? "" : `σ ${figure(sigma)}`);
    setText(this.time, this.timeText(cell, step, steps));
  }

  stepText({ at, align, step, steps, alone, cell }) {
    const { store } = this.app;
    const complete = store.ended || (alone && cell.s === "done");
    if (at === null) return say(complete ? "final" : "newest");
    if (align === "fraction") return `${Math.round(100 * at)} %`;
    const whole = align === "step" && !alone ? store.maxSteps : steps;
    return `${say("step")} ${align === "step" ? at : step}/${whole}`;
  }

  // Seconds of denoising up to the step: as recorded, or in proportion until the record has come.
  timeText(cell, step, steps) {
    const { frames = [] } = this.app.records.of(cell) || {};
    const record = frames.find((frame) => frame.step === step);
    if (record && Number.isFinite(record.seconds)) return seconds(record.seconds);
    const spent = cell.t && cell.t.denoise_s;
    return spent ? `≈ ${seconds((spent * step) / steps)}` : "";
  }

  get words() {
    return `${this.step.textContent} ${this.sigma.textContent}`;
  }
}

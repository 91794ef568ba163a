// Having the neighbouring stops ready before the slider gets there.

const AHEAD = [-1, 1, 2, -2, 3, 4, -3, 5, 6, 7, 8]; // around the current stop
const AHEAD_PLAIN = [-1, 1, 2]; // where each picture is a request of its own
const IDLE_MS = 60;
const FIRST = 50; // pictures in the first request; later as many as come within the time
const ASIDE_MS = 500; // that the slider's own pictures may have to wait for these, at most

class Prefetch {
  constructor(app) {
    this.app = app;
    this.batch = FIRST;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), IDLE_MS);
  }

  async run() {
    const { app } = this;
    if (this.running || !app.views[app.state.view].shownCells) return;
    this.running = true;
    const { align, at } = app.state;
    const moved = () => app.state.at !== at || app.state.align !== align;
    const pairs = this.pairs(align, at);
    for (let start = 0; start < pairs.length && !moved();) {
      const began = performance.now();
      const part = pairs.slice(start, start + this.batch);
      await app.pictures.warm(part);
      start += part.length;
      const faster = ASIDE_MS / (performance.now() - began);
      this.batch = Math.round(clamp(part.length * faster, 4, BATCH));
    }
    this.running = false;
    if (moved()) this.soon();
  }

  pairs(align, at) {
    const { app } = this;
    const cells = app.views[app.state.view].shownCells;
    const list = stops(app.store, align);
    const here = stopIndex(list, align, at);
    const ahead = app.store.urls.pack || !app.store.urls.frame ? AHEAD : AHEAD_PLAIN;
    return ahead
      .map((by) => here + by)
      .filter((index) => index >= 0 && index < list.length)
      .flatMap((index) =>
        cells.map((cell) => [cell, frameStep(app.store, cell, align, list[index])]),
      )
      .filter(([, step]) => step !== null);
  }
}

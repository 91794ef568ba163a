// Turns the pages of an axis by itself, so that its values follow one another in the same place.

const TURN_STEPS = 4; // a page stays as long as that many steps are played

class Turner {
  constructor(app) {
    this.app = app;
    this.axis = null; // index of the axis that is being turned
  }

  // Of the axis `index`, or of the last one that is pages.
  toggle(index = this.app.state.roles.lastIndexOf("page")) {
    const stops = this.axis === index || index < 0;
    this.stop();
    if (!stops) {
      this.axis = index;
      this.next();
    }
    this.app.later("layout");
  }

  next() {
    this.timer = setTimeout(() => this.turn(), (1000 * TURN_STEPS) / this.app.state.speed);
  }

  turn() {
    const { app, axis } = this;
    const { state } = app;
    if (state.roles[axis] !== "page" || state.view !== "sheet") return this.toggle(axis);
    if (!app.waiting) turnPage(app, 1, axis);
    return this.next();
  }

  stop() {
    clearTimeout(this.timer);
    this.axis = null;
  }
}

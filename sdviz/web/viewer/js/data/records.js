// What is recorded of one cell beyond the description: figures of each frame, notes, key. Asked for
// when needed.

const FIRST_ASK_MS = 150; // walking over cells asks for none of them
const AGAIN_MS = 1500; // a running cell changes with every frame

class Records {
  constructor(app) {
    this.app = app;
    this.known = new Map(); // cell index -> {sign, detail}
    this.asking = 0;
  }

  // The cell's JSON, perhaps some frames old, or null until it has come.
  of(cell) {
    const entry = this.known.get(cell.i);
    if (!entry || entry.sign !== signOf(cell)) this.ask(cell, entry ? AGAIN_MS : FIRST_ASK_MS);
    return entry ? entry.detail : null;
  }

  ask(cell, wait) {
    if (this.asking && this.wanted === cell) return;
    clearTimeout(this.asking);
    this.wanted = cell;
    this.asking = setTimeout(async () => {
      const sign = signOf(cell);
      const detail = await this.app.store.detail(cell);
      this.asking = 0;
      const { pictures: _, ...rest } = detail || {};
      this.known.set(cell.i, { sign, detail: rest });
      if (this.known.size > 500) this.known.delete(this.known.keys().next().value);
      this.app.later("record");
    }, wait);
  }
}

// Changes whenever more of the cell may have been recorded.
const signOf = (cell) => `${cell.s} ${cell.f} ${cell.ref || 0}`;

// One sweep: its description, what has changed since, and who wants to know. No element is touched
// here.

const TERMINAL = ["finished", "failed", "interrupted"];

class Store {
  constructor(source, description = null) {
    this.source = source; // URL of the description; "" for one inside the page
    this.description = description;
    this.listeners = new Set();
    this.lost = "";
    this.shown = () => true; // whether anybody can see it; unseen, it stops asking
  }

  async start() {
    if (this.description) this.take(this.description);
    else await this.reload();
    this.follow();
  }

  async reload() {
    for (let wait = 500; ; wait = Math.min(wait * 2, 4000)) {
      try {
        this.take(await this.fetchJson(this.source));
        this.lost = "";
        this.tell(null);
        return;
      } catch (error) {
        this.lost = this.description ? "lost" : "cannot";
        this.tell([]);
        await pause(wait);
      }
    }
  }

  take(description) {
    this.description = description;
    this.dims = description.dims || [];
    this.fixed = description.fixed || {};
    this.schedules = description.schedules || [];
    this.notes = description.notes || [];
    this.comparable = description.comparable || {}; // model -> {batch, settled, device}
    this.rows = new Map((description.settings || []).map((row) => [row.name, row]));
    this.scores = description.scores || {}; // cell index -> {scores, caption}
    this.cells = description.cells || [];
    this.urls = description.urls || {};
    this.byIndex = new Map(this.cells.map((cell) => [cell.i, cell]));
    for (const cell of this.cells) completed(cell);
    this.byPlace = new Map(this.cells.map((cell) => [cell.c.join(","), cell]));
    this.maxSteps = Math.max(1, ...new Set(this.cells.map((cell) => this.steps(cell))));
    this.shape = this.commonShape();
    this.base = new URL(this.source || ".", document.baseURI);
  }

  // Width by height of the cells' pictures; square when they differ, so that none is cropped.
  commonShape() {
    const shapes = new Set(
      this.cells.map((cell) => (this.recipe(cell).width || 1) / (this.recipe(cell).height || 1)),
    );
    return shapes.size === 1 ? [...shapes][0] : 1;
  }

  at(coords) {
    return this.byPlace.get(coords.join(",")) || null;
  }

  // What the description has of a setting; little of one that it does not know.
  setting(name) {
    return this.rows.get(name) || { name };
  }

  recipe(cell) {
    return { ...this.fixed, ...cell.r };
  }

  steps(cell) {
    const asked = cell.n || (cell.r && cell.r.steps) || this.fixed.steps;
    return Math.max(1, Number(asked) || cell.f || 1, cell.f || 0);
  }

  sigmas(cell) {
    const schedule = this.schedules[cell.q];
    return schedule && schedule.sigmas.length ? schedule.sigmas : null;
  }

  url(name, values) {
    const template = this.urls[name];
    if (!template) return "";
    const path = template.replace(/\{(\w+)\}/g, (_, key) =>
      encodeURIComponent(values[key]).replaceAll("%2C", ","),
    );
    return new URL(path, this.base).href;
  }

  // A picture's address carries a version (if the server gave none: the sweep's birth), so that
  // browsers may keep it for good.
  pictureUrl(name, values) {
    const address = this.url(name, values);
    if (!address.startsWith("http") || /[?&]v=/.test(address)) return address;
    const version = encodeURIComponent(this.description.created || "1");
    return `${address}${address.includes("?") ? "&" : "?"}v=${version}`;
  }

  get ended() {
    return TERMINAL.includes(this.description.status);
  }

  tell(changed) {
    for (const listener of this.listeners) listener(changed);
  }

  async fetchJson(url, timeout = 30000) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeout), cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer.json();
  }

  // A long poll while the sweep runs. An ended sweep is asked no more: a page has six connections.
  async follow() {
    if (this.following || !this.urls.live) return;
    this.following = true;
    while (!this.ended && this.shown()) {
      try {
        const news = await this.askLive();
        if (news.reset) await this.reload();
        else this.merge(news);
      } catch (error) {
        this.lost = "lost";
        this.tell([]);
        await pause(500);
        await this.reload(); // a server that was away may have forgotten what it told us
      }
    }
    this.following = false;
  }

  // An ended sweep may have been taken up again: one question when somebody turns to it, at most
  // every ten seconds.
  async askAgain() {
    const now = Date.now();
    if (!this.description || !this.ended || !this.urls.live || now - (this.askedAt || 0) < 10000)
      return;
    this.askedAt = now;
    try {
      const news = await this.askLive();
      if (news.reset) await this.reload();
      else if (news.seq !== this.description.seq) this.merge(news);
      this.follow();
    } catch {
      // The server has gone; what is on the page stays, and the next visit asks again.
    }
  }

  askLive() {
    const live = this.url("live", {});
    const since = encodeURIComponent(this.description.seq || 0);
    return this.fetchJson(`${live}${live.includes("?") ? "&" : "?"}since=${since}`);
  }

  merge(news) {
    const { description } = this;
    description.seq = news.seq;
    if (news.status) description.status = news.status;
    if (news.progress && Object.keys(news.progress).length) description.progress = news.progress;
    this.schedules.push(...(news.schedules || []));
    this.notes.push(...(news.notes || []));
    this.comparable = news.comparable || this.comparable;
    Object.assign(this.scores, news.scores);
    const changed = [];
    for (const fresh of news.cells || []) {
      const cell = this.byIndex.get(fresh.i);
      if (!cell) continue;
      completed(Object.assign(cell, fresh));
      changed.push(cell.i);
    }
    this.tell(changed);
  }

  // One cell's JSON: inside the page, by fetch, or (a report in a folder) by a script. Null: there
  // is none.
  async detail(cell) {
    const inside = this.description.details;
    if (inside) return inside[cell.i] || null;
    if (!this.urls.cell) return null;
    const url = this.url("cell", { cell: cell.i });
    const asked = this.urls.cell.endsWith(".js") ? cellByScript(url, cell.i) : this.fetchJson(url);
    return asked.catch(() => null);
  }
}

// A cell's total, where the description gives only its parts.
function completed(cell) {
  if (!cell.t || Number.isFinite(cell.t.total_s)) return;
  cell.t.total_s = SPLIT.reduce((sum, name) => sum + (cell.t[name] || 0), 0);
}

// What a cell's seconds are split into.
const SPLIT = ["encode_s", "denoise_s", "preview_s", "decode_s", "save_s"];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Cells whose script is under way: index -> {promise, resolve}.
const awaited = new Map();

function cellByScript(url, index) {
  if (awaited.has(index)) return awaited.get(index).promise;
  window.sdvizCell = (data) => awaited.has(data.i) && awaited.get(data.i).resolve(data);
  const entry = {};
  entry.promise = new Promise((resolve, reject) => {
    entry.resolve = resolve;
    const failed = () => reject(new Error(url));
    const script = h("script", { src: url, onerror: failed });
    script.addEventListener("load", () => {
      script.remove();
      failed(); // without effect where the script has called sdvizCell
    });
    document.head.append(script);
  }).finally(() => awaited.delete(index));
  awaited.set(index, entry);
  return entry.promise;
}

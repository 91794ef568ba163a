// Where the picture of a cell at a step is, and having it ready before it is asked for.
// Step 0 is the final image; `large` asks for it lossless rather than as a thumbnail, and for a frame in
// full size, where a server has small ones for sheets.

const BATCH = 200; // pairs in one request of `urls.pack`
const KEPT_BYTES = 160e6; // of encoded pictures kept ready
const WARM_BYTES = 250e6; // of decoded ones
const SMALL = 384; // pixels of the longer side of a server's small pictures

class Pictures {
  constructor(store) {
    this.store = store;
    this.ready = new Map(); // "cell/step" -> address, oldest first
    this.sizes = new Map();
    this.bytes = 0;
    this.absent = new Set(); // asked for, and not there
    this.asked = new Map(); // "cell/step" -> promise, while a pack is under way
    this.shown = 0; // how large the sheet shows pictures: the longer side, in pixels of the screen
  }

  // A changed cell may have frames now that it lacked before.
  changed() {
    this.absent.clear();
  }

  drop(key) {
    this.bytes -= this.sizes.get(key) || 0;
    this.ready.delete(key);
    this.sizes.delete(key);
  }

  // The address that can be shown at once, or "" when the answer must be waited for with `load`.
  now(cell, step, large = false) {
    const held = this.ready.get(this.keyOf(cell, step, large)) || "";
    const inside = this.embedded(cell, step, large);
    if (this.byScript) return held || (this.suffices(cell, step, large) ? inside : "");
    if (inside) return inside;
    const lossless = !step && (large || (this.scales && this.isCoarse));
    if (this.store.urls.pack && !lossless) return held;
    return this.plain(cell, step, large || lossless);
  }

  // Under which name a picture is kept: "3/12", and "3/12+" in full size where there are two sizes.
  keyOf(cell, step, large) {
    return `${cell.i}/${step}${this.isFull(step, large) ? "+" : ""}`;
  }

  isFull(step, large) {
    return Boolean(step) && this.scales && (large || this.isCoarse);
  }

  // Whether the sheet shows pictures larger than the small ones are.
  get isCoarse() {
    return this.shown > 1.3 * SMALL;
  }

  get scales() {
    return (this.store.urls.pack || "").includes("{size}");
  }

  // The page of a report in a folder holds thumbnails: enough for a sheet of small cells, and where
  // there is nothing better.
  suffices(cell, step, large) {
    const coarse = this.shown > 1.3 * this.store.description.thumb;
    return !(large || coarse) || this.absent.has(`${cell.i}/${step}`);
  }

  get byScript() {
    return (this.store.urls.cell || "").endsWith(".js") && !this.store.urls.frame;
  }

  embedded(cell, step, large) {
    const frames = this.store.description.frames;
    if (!frames) return "";
    if (step) return frames[`${cell.i}/${step}`] || "";
    const [image, thumb] = [frames[`${cell.i}/image`], frames[`${cell.i}/thumb`]];
    const last = frames[`${cell.i}/${cell.f}`];
    return (large ? image || thumb : thumb || image) || (this.store.urls.image ? "" : last) || "";
  }

  plain(cell, step, large) {
    const values = { cell: cell.i, step };
    if (step) return this.store.pictureUrl("frame", values);
    const small = large ? "" : this.store.pictureUrl("thumb", values);
    return (
      small ||
      this.store.pictureUrl("image", values) ||
      this.store.pictureUrl("frame", { cell: cell.i, step: cell.f })
    );
  }

  // Resolves when `now` will answer for all of `pairs`, or cannot; true when something has arrived.
  async load(pairs) {
    const missing = pairs.filter(
      (pair) => pair[1] !== null && !this.now(...pair) && !this.absent.has(this.keyOf(...pair)),
    );
    if (!missing.length) return false;
    if (this.byScript)
      await Promise.all(
        [...new Set(missing.map(([cell]) => cell))].map((cell) => this.loadScript(cell)),
      );
    else if (this.store.urls.pack) await this.loadPacks(missing);
    const still = missing.filter((pair) => !this.now(...pair));
    for (const pair of still) this.absent.add(this.keyOf(...pair));
    return this.byScript || still.length < missing.length;
  }

  async loadScript(cell) {
    const detail = await this.store.detail(cell);
    for (const [name, address] of Object.entries((detail && detail.pictures) || {})) {
      if (name === "image" || (name === "thumb" && !detail.pictures.image))
        this.keep(`${cell.i}/0`, address);
      else this.keep(`${cell.i}/${name}`, address);
    }
  }

  async loadPacks(pairs) {
    const keys = pairs.map((pair) => this.keyOf(...pair));
    const wanted = pairs.filter((_, at) => !this.asked.has(keys[at]));
    for (const full of [false, true]) {
      const alike = wanted.filter(([, step, large]) => this.isFull(step, large) === full);
      for (let start = 0; start < alike.length; start += BATCH) {
        const batch = alike.slice(start, start + BATCH);
        const names = batch.map((pair) => this.keyOf(...pair));
        const under = this.loadPack(batch, names, full).catch(() => {});
        for (const name of names) this.asked.set(name, under);
      }
    }
    await Promise.all(keys.map((key) => this.asked.get(key)));
  }

  async loadPack(batch, names, full) {
    try {
      const list = batch.map(([cell, step]) => `${cell.i}.${step}`).join(",");
      const size = full ? "full" : "small";
      const answer = await fetch(this.store.url("pack", { pairs: list, size }), {
        signal: AbortSignal.timeout(30000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      this.unpack(await answer.arrayBuffer(), full ? "+" : "");
    } finally {
      for (const name of names) this.asked.delete(name);
    }
  }

  unpack(buffer, ending) {
    const view = new DataView(buffer);
    for (let offset = 0; offset + 12 <= buffer.byteLength;) {
      const [cell, step, length] = [0, 4, 8].map((at) => view.getUint32(offset + at, true));
      const bytes = new Uint8Array(buffer, offset + 12, length);
      const kind = bytes[0] === 0x89 ? "png" : "webp";
      this.keep(`${cell}/${step}${ending}`, `data:image/${kind};base64,${base64(bytes)}`);
      offset += 12 + length;
    }
  }

  keep(key, address, bytes = address.length) {
    this.drop(key);
    this.ready.set(key, address);
    this.sizes.set(key, bytes);
    this.bytes += bytes;
    while (this.bytes > KEPT_BYTES && this.ready.size > 1)
      this.drop(this.ready.keys().next().value);
  }

  // Fetches pictures and has them decoded, so that showing them later takes no time. The newest
  // 2,000 are held, or fewer large ones.
  async warm(pairs) {
    await this.load(pairs);
    const images = pairs
      .map((pair) => this.now(...pair))
      .filter(Boolean)
      .map((address) => {
        const image = new Image();
        image.src = address;
        return image;
      });
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
    const pixels = Math.max(1, ...images.map((image) => image.naturalWidth * image.naturalHeight));
    const most = Math.min(2000, Math.max(images.length, WARM_BYTES / (4 * pixels)));
    this.warmed = [...images, ...(this.warmed || [])].slice(0, most);
  }
}

// A data URI is shown three times as quickly as a blob's URL, which each picture would ask another
// process for.
function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

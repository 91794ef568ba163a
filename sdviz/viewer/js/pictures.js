// Where the picture of a cell at a step is, and having it ready before it is asked for.
// Step 0 is the final image; `large` asks for it lossless rather than as a thumbnail.

const BATCH = 200; // pairs in one request of `urls.pack`
const KEPT_BYTES = 160e6; // of encoded pictures kept ready

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
    const held = this.ready.get(`${cell.i}/${step}`) || "";
    const inside = this.embedded(cell, step, large);
    if (this.byScript) return held || (this.suffices(cell, step, large) ? inside : "");
    if (inside) return inside;
    if (this.store.urls.pack && !large) return held;
    return this.plain(cell, step, large);
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
    const key = ([cell, step]) => `${cell.i}/${step}`;
    const missing = pairs.filter(
      (pair) => pair[1] !== null && !this.now(...pair) && !this.absent.has(key(pair)),
    );
    if (!missing.length) return false;
    if (this.byScript)
      await Promise.all(
        [...new Set(missing.map(([cell]) => cell))].map((cell) => this.loadScript(cell)),
      );
    else if (this.store.urls.pack) await this.loadPacks(missing);
    const still = missing.filter((pair) => !this.now(...pair));
    for (const pair of still) this.absent.add(key(pair));
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
    const wanted = pairs.filter(([cell, step]) => !this.asked.has(`${cell.i}/${step}`));
    for (let start = 0; start < wanted.length; start += BATCH) {
      const batch = wanted.slice(start, start + BATCH);
      const under = this.loadPack(batch).catch(() => {});
      for (const [cell, step] of batch) this.asked.set(`${cell.i}/${step}`, under);
    }
    await Promise.all(pairs.map(([cell, step]) => this.asked.get(`${cell.i}/${step}`)));
  }

  async loadPack(batch) {
    try {
      const list = batch.map(([cell, step]) => `${cell.i}.${step}`).join(",");
      const answer = await fetch(this.store.url("pack", { pairs: list }), {
        signal: AbortSignal.timeout(30000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      this.unpack(await answer.arrayBuffer());
    } finally {
      for (const [cell, step] of batch) this.asked.delete(`${cell.i}/${step}`);
    }
  }

  unpack(buffer) {
    const view = new DataView(buffer);
    for (let offset = 0; offset + 12 <= buffer.byteLength;) {
      const [cell, step, length] = [0, 4, 8].map((at) => view.getUint32(offset + at, true));
      const bytes = new Uint8Array(buffer, offset + 12, length);
      const kind = bytes[0] === 0x89 ? "png" : "webp";
      this.keep(`${cell}/${step}`, `data:image/${kind};base64,${base64(bytes)}`);
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
  // 2,000 are held.
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
    this.warmed = [...images, ...(this.warmed || [])].slice(0, 2000);
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
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

// PSNR, SSIM and largest difference of the two pictures that are compared, beside them.

const SETTLE_MS = 80; // while the slider moves, figures wait

class Distance {
  // `ready(readable)` is called when `pixels` are those on the screen.
  constructor(ready) {
    this.ready = ready;
    this.pixels = [];
    this.element = h("dl", { class: "figures" });
  }

  measure(addresses) {
    const wanted = addresses.join("\n");
    if (this.measured === wanted) return this.ready(this.readable);
    this.measured = wanted;
    this.element.classList.add("stale");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(addresses, wanted), SETTLE_MS);
    return undefined;
  }

  async read(addresses, wanted) {
    const whole = addresses.length === 2 && addresses.every(Boolean);
    const reading = whole ? addresses.map((address) => pixelsOf(address).catch(() => null)) : [];
    const pixels = await Promise.all(reading);
    if (this.measured !== wanted) return;
    this.pixels = pixels;
    this.show();
    this.ready(this.readable);
  }

  get readable() {
    const [a, b] = this.pixels;
    return Boolean(a && b && a.width === b.width && a.height === b.height);
  }

  show() {
    const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    const [a, b] = this.pixels;
    let rows = [];
    if (this.readable) {
      const { psnr, largest } = psnrOf(a, b);
      const decibels = psnr === Infinity ? `∞ (${say("identical")})` : `${psnr.toFixed(2)} dB`;
      rows = [
        row(say("psnr"), decibels),
        row(say("ssim"), ssimOf(a, b).toFixed(4)),
        row(say("largest"), `${largest}/255`),
      ];
    } else if (this.pixels.length) {
      rows = [h("p", { class: "note" }, say(a && b ? "sizesDiffer" : "notReadable"))];
    }
    this.element.replaceChildren(...rows);
    this.element.classList.remove("stale");
  }
}

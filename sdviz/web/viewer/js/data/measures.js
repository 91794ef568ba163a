// How far two pictures are apart, computed here from the pixels on the screen (8 bits a channel,
// RGB).

// The pixels of a picture, or null where the browser refuses them (files beside a page from the
// disk).
async function pixelsOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  try {
    return context.getImageData(0, 0, canvas.width, canvas.height);
  } catch {
    return null;
  }
}

// Peak signal-to-noise ratio in dB over all channels, and the largest difference of one channel
// (0..255).
function psnrOf(one, other) {
  let [sum, largest, count] = [0, 0, 0];
  for (let at = 0; at < one.data.length; at += 1) {
    if (at % 4 === 3) continue;
    const off = Math.abs(one.data[at] - other.data[at]);
    sum += off * off;
    count += 1;
    if (off > largest) largest = off;
  }
  return { psnr: sum === 0 ? Infinity : 10 * Math.log10((255 * 255 * count) / sum), largest };
}

// Structural similarity of the luma (Wang et al. 2004, doi:10.1109/TIP.2003.819861): Gaussian
// window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03, mean over the windows that lie within the
// picture. 1: equal.
function ssimOf(one, other) {
  const { width, height } = one;
  if (Math.min(width, height) < 11) return NaN;
  const [x, y] = [luma(one), luma(other)];
  const product = (left, right) => left.map((value, at) => value * right[at]);
  const [mx, my, xx, yy, xy] = [x, y, product(x, x), product(y, y), product(x, y)].map((map) =>
    blurred(map, width, height),
  );
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  let sum = 0;
  for (let at = 0; at < mx.length; at += 1) {
    const [a, b] = [mx[at], my[at]];
    const [va, vb, cov] = [xx[at] - a * a, yy[at] - b * b, xy[at] - a * b];
    sum += ((2 * a * b + c1) * (2 * cov + c2)) / ((a * a + b * b + c1) * (va + vb + c2));
  }
  return sum / mx.length;
}

function luma({ data, width, height }) {
  const grey = new Float64Array(width * height);
  for (let at = 0; at < grey.length; at += 1) {
    grey[at] = 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2];
  }
  return grey;
}

const WINDOW = (() => {
  const raw = Array.from({ length: 11 }, (_, at) => Math.exp(-((at - 5) ** 2) / (2 * 1.5 * 1.5)));
  const sum = raw.reduce((total, value) => total + value, 0);
  return raw.map((value) => value / sum);
})();

// Separable Gaussian, only where the window fits: (width - 10) x (height - 10).
function blurred(map, width, height) {
  const [narrow, low] = [width - 10, height - 10];
  const across = new Float64Array(narrow * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < narrow; column += 1) {
      let sum = 0;
      for (let tap = 0; tap < 11; tap += 1) sum += WINDOW[tap] * map[row * width + column + tap];
      across[row * narrow + column] = sum;
    }
  }
  const out = new Float64Array(narrow * low);
  for (let row = 0; row < low; row += 1) {
    for (let column = 0; column < narrow; column += 1) {
      let sum = 0;
      for (let tap = 0; tap < 11; tap += 1)
        sum += WINDOW[tap] * across[(row + tap) * narrow + column];
      out[row * narrow + column] = sum;
    }
  }
  return out;
}

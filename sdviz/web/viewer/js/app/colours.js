// Colours of lines and maps. None of them is used near a picture.

// Okabe and Ito's, lightened for a dark ground: told apart with any colour vision.
const DISTINCT = [
  "#e69f00",
  "#56b4e9",
  "#2fbf95",
  "#f0e442",
  "#a48cf0",
  "#e8743b",
  "#d98cbb",
  "#d0d0d0",
];

// For values that have an order.
const RAMP = [
  [70, 107, 186],
  [69, 155, 180],
  [95, 194, 138],
  [190, 213, 78],
  [250, 231, 80],
];

// For differences: from dark to light in even steps, so that the map reads the same in print.
const HEAT = [
  [0, 0, 4],
  [50, 10, 94],
  [120, 28, 109],
  [188, 55, 84],
  [237, 105, 37],
  [251, 180, 26],
  [252, 255, 164],
];

// The colour at `value` (0..1) between the stops, as [red, green, blue], 0..255.
function gradient(stops, value) {
  const at = clamp(value, 0, 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const between = (channel, index) => channel + (stops[low + 1][index] - channel) * (at - low);
  return stops[low].map((channel, index) => Math.round(between(channel, index)));
}

const cssColour = (channels) => `rgb(${channels.join(",")})`;

// One colour for each label: along a ramp where all of them are numbers, or where there are many.
function coloursFor(labels) {
  const numbers = labels.every((label) => label !== "" && Number.isFinite(Number(label)));
  const ordered = labels.length > 1 && numbers;
  if (!ordered && labels.length <= DISTINCT.length) return DISTINCT.slice(0, labels.length);
  const last = Math.max(1, labels.length - 1);
  return labels.map((_, index) => cssColour(gradient(RAMP, index / last)));
}

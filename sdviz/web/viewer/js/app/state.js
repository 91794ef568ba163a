// What a person has chosen, as one plain object, and its short form for the hash of a report's
// address.

function defaultState(store) {
  return {
    view: "sheet",
    align: "step",
    at: null, // the slider's stop: step, fraction or sigma; null: the final image
    own: null, // the inspector's own slider: a step, or null for the final image
    roles: defaultRoles(store.dims),
    page: store.dims.map(() => 0),
    hidden: store.dims.map(() => []),
    size: null, // pixels of a picture's longer side on the sheet; null: as fits
    order: store.dims.length === 1 && store.dims[0].labels.length > 8 ? "wrapped" : "axes",
    captions: true,
    cell: null, // index of the cell that the keys walk from, and that the inspector shows
    a: null,
    b: null,
    marks: [],
    mode: "side",
    mix: 0.5, // divider's and blend's position
    gain: 4,
    strip: bestStrip(store.dims),
    stripCount: 8,
    stripAlign: "fraction",
    against: "step",
    colour: bestStrip(store.dims),
    times: "comparable", // or as measured
    speed: 8,
    zoom: { k: 1, x: 0, y: 0 },
  };
}

// Samplers are what people compare first.
function bestStrip(dims) {
  const index = dims.findIndex((dim) => dim.keys.includes("sampler"));
  return index >= 0 ? index : Math.max(0, dims.length - 1);
}

const SAVED = [
  "view",
  "align",
  "at",
  "own",
  "roles",
  "page",
  "hidden",
  "size",
  "order",
  "captions",
  "cell",
  "a",
  "b",
  "marks",
  "mode",
  "mix",
  "gain",
  "strip",
  "stripCount",
  "stripAlign",
  "against",
  "colour",
  "times",
  "zoom",
];

function toHash(state, initial) {
  const parts = SAVED.filter(
    (name) => JSON.stringify(state[name]) !== JSON.stringify(initial[name]),
  ).map((name) => `${name}=${encodeURIComponent(JSON.stringify(state[name]))}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

// A hash comes from a stranger's link: only known names of the type and shape that they have here
// are taken.
function fromHash(hash, initial, store) {
  const state = { ...initial };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name, text] = part.split("=");
    if (!SAVED.includes(name) || text === undefined) continue;
    let value;
    try {
      value = JSON.parse(decodeURIComponent(text));
    } catch {
      continue;
    }
    if (plausible(name, value, initial, store)) state[name] = value;
  }
  return state;
}

const VIEW_NAMES = ["sheet", "inspect", "strips", "compare", "curves", "timings", "figures"];

const CHOICES = {
  view: VIEW_NAMES,
  align: ALIGNMENTS,
  stripAlign: ALIGNMENTS,
  order: ["axes", "wrapped", "slowest", "fastest", ...SCORES],
  times: ["comparable", "measured"],
  mode: ["side", "divider", "blend", "flicker", "difference"],
};

function plausible(name, value, initial, store) {
  const count = store.dims.length;
  const whole = (number) => Number.isInteger(number) && number >= 0;
  if (CHOICES[name]) return CHOICES[name].includes(value);
  if (name === "roles")
    return (
      Array.isArray(value) && value.length === count && value.every((role) => ROLES.includes(role))
    );
  if (name === "page")
    return (
      Array.isArray(value) &&
      value.length === count &&
      value.every((index, dim) => whole(index) && index < store.dims[dim].labels.length)
    );
  if (name === "hidden")
    return (
      Array.isArray(value) &&
      value.length === count &&
      value.every((list) => Array.isArray(list) && list.every(whole))
    );
  if (name === "marks")
    return Array.isArray(value) && value.every((index) => store.byIndex.has(index));
  if (["cell", "a", "b"].includes(name)) return value === null || store.byIndex.has(value);
  if (["at", "own", "size"].includes(name))
    return value === null || (Number.isFinite(value) && value >= 0);
  if (name === "zoom")
    return (
      Boolean(value) &&
      [value.k, value.x, value.y].every(Number.isFinite) &&
      value.k >= 1 &&
      value.k <= 32
    );
  if (["strip", "colour"].includes(name)) return whole(value) && value < Math.max(1, count);
  return typeof value === typeof initial[name];
}

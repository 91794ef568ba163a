// Cells as the command that computes them: `python -m sdviz.sweep` with all their settings.

const TEXTS = ["prompt", "negative"];
const ABSORBED = ["sr", "schedule"]; // the prompt and the sampler's name have their effect already

// A text that is not read as a quoted string, as a list or as null stands as it is, commas and all.
const standsAlone = (text) => /^[^\s"'[](.*\S)?$/s.test(text) && !/^(null$|choice\()/.test(text);

const quoted = (text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

function commandValue(value) {
  if (typeof value !== "string") return String(value);
  const plain = /^[\w./+#-]+( [\w./+#-]+)*$/.test(value) && !/^(true|false|null)$/i.test(value);
  return plain ? value : quoted(value);
}

function commandValues(name, values) {
  if (!TEXTS.includes(name)) return values.map(commandValue).join(",");
  if (values.length > 1) return `[${values.map(quoted).join(",")}]`;
  return standsAlone(values[0]) ? values[0] : quoted(values[0]);
}

const shellWord = (text) =>
  /^[A-Za-z0-9_=.,:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

// The command for exactly these cells: settings in which they differ become lists, which are paired
// (zip) where the cells are not every combination of them. Left out: what is at its default, and
// what is absorbed.
function sweepCommand(store, cells) {
  const recipes = cells.map((cell) => store.recipe(cell));
  const { quiet = [] } = store.description;
  const different = (name) => [
    ...new Map(recipes.map((recipe) => [JSON.stringify(recipe[name]), recipe[name]])).values(),
  ];
  const settings = [...new Set(recipes.flatMap((recipe) => Object.keys(recipe)))]
    .filter((name) => !ABSORBED.includes(name) && !quiet.includes(name))
    .map((name) => ({ name, values: different(name) }))
    .filter(({ values }) => values.length > 1 || !["", null, undefined].includes(values[0]));
  const varying = settings.filter(({ values }) => values.length > 1);
  const paired = varying.reduce((n, { values }) => n * values.length, 1) > cells.length;
  if (paired)
    for (const setting of varying) setting.values = recipes.map((recipe) => recipe[setting.name]);
  const words = settings.map(({ name, values }) => `${name}=${commandValues(name, values)}`);
  if (paired) words.push(`zip=[[${varying.map(({ name }) => name).join(",")}]]`);
  return ["python -m sdviz.sweep", ...words.map(shellWord)].join(" ");
}

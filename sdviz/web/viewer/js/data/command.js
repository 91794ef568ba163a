// Cells as the command that computes them: `python -m sdviz.sweep` with all their settings.

// A value as it is typed; the description has the texts that do not stand as they are.
function commandValue(store, name, value) {
  const { [name]: texts = {} } = store.description.typed || {};
  return Object.hasOwn(texts, value) ? texts[value] : String(value);
}

function commandValues(store, name, values) {
  const words = values.map((value) => commandValue(store, name, value)).join(",");
  return values.length > 1 && store.setting(name).kind === "text" ? `[${words}]` : words;
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
    .filter((name) => !store.setting(name).absorbed && !quiet.includes(name))
    .map((name) => ({ name, values: different(name) }))
    .filter(({ values }) => values.length > 1 || !["", null, undefined].includes(values[0]));
  const varying = settings.filter(({ values }) => values.length > 1);
  const paired = varying.reduce((n, { values }) => n * values.length, 1) > cells.length;
  if (paired)
    for (const setting of varying) setting.values = recipes.map((recipe) => recipe[setting.name]);
  const words = settings.map(({ name, values }) => `${name}=${commandValues(store, name, values)}`);
  if (paired) words.push(`zip=[[${varying.map(({ name }) => name).join(",")}]]`);
  return ["python -m sdviz.sweep", ...words.map(shellWord)].join(" ");
}

// Marked cells, and their export as a command line and as JSON.

function toggleMark(app, cell) {
  if (!cell) return;
  const { marks } = app.state;
  app.set({
    marks: marks.includes(cell.i) ? marks.filter((index) => index !== cell.i) : [...marks, cell.i],
  });
}

// One element of an override, quoted for Hydra's grammar where it needs it.
function hydraValue(value) {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === null) return "null";
  const text = String(value);
  if (/^[A-Za-z_][A-Za-z0-9_./-]*$/.test(text) && !/^(true|false|null|nan|inf)$/i.test(text))
    return text;
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

const shellWord = (text) =>
  /^[A-Za-z0-9_=.,:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

// `python -m sdviz.sweep` with every setting of the marked cells; settings that differ become
// lists.
function sweepCommand(store, cells) {
  const recipes = cells.map((cell) => store.recipe(cell));
  const names = [...new Set(recipes.flatMap((recipe) => Object.keys(recipe)))];
  const words = [];
  let product = 1;
  for (const name of names) {
    const values = [
      ...new Map(recipes.map((recipe) => [JSON.stringify(recipe[name]), recipe[name]])).values(),
    ].filter((value) => value !== undefined && value !== null);
    if (!values.length || (name === "negative" && values.length === 1 && values[0] === ""))
      continue;
    product *= values.length;
    words.push(shellWord(`${name}=${values.map(hydraValue).join(",")}`));
  }
  return { command: ["python -m sdviz.sweep", ...words].join(" "), product };
}

class Marks {
  constructor(app) {
    this.app = app;
    this.command = h("textarea", {
      readonly: true,
      rows: 6,
      spellcheck: "false",
      "aria-label": say("command"),
    });
    this.note = h("p", {});
    this.copy = button(say("copy"), () => this.copied());
    this.element = h(
      "dialog",
      { class: "dialog marks" },
      h("h2", {}, say("exportMarked")),
      this.command,
      this.note,
      h(
        "div",
        { class: "row" },
        this.copy,
        button(say("download"), () => this.download()),
        button(say("clearMarks"), () => {
          app.set({ marks: [] });
          this.element.close();
        }),
        button(say("close"), () => this.element.close()),
      ),
    );
    this.element.addEventListener(
      "click",
      (event) => event.target === this.element && this.element.close(),
    );
  }

  get cells() {
    return this.app.state.marks.map((index) => this.app.store.byIndex.get(index)).filter(Boolean);
  }

  update() {
    const { cells } = this;
    setText(this.copy, say("copy"));
    if (!cells.length) {
      this.command.value = "";
      setText(this.note, say("noMarks"));
      return;
    }
    const { command, product } = sweepCommand(this.app.store, cells);
    this.command.value = command;
    setText(
      this.note,
      product > cells.length ? say("markProduct", { n: product, m: cells.length }) : "",
    );
  }

  // The clipboard is refused on pages that are not secure: a selection works everywhere.
  async copied() {
    this.command.select();
    try {
      await navigator.clipboard.writeText(this.command.value);
    } catch {
      document.execCommand("copy");
    }
    setText(this.copy, say("copied"));
  }

  download() {
    const { store } = this.app;
    const content = {
      sweep: store.description.name,
      cells: this.cells.map((cell) => ({ cell: cell.i, recipe: store.recipe(cell) })),
    };
    const address = URL.createObjectURL(
      new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }),
    );
    h("a", { href: address, download: `${store.description.name || "sdviz"}-marked.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }
}

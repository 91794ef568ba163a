// Marked cells, and what is to be taken away of them, or of one cell: the command, and JSON.

function toggleMark(app, cell) {
  if (!cell) return;
  const { marks } = app.state;
  app.set({
    marks: marks.includes(cell.i) ? marks.filter((index) => index !== cell.i) : [...marks, cell.i],
  });
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
    this.title = h("h2", {});
    this.note = h("p", {});
    this.copy = button(say("copy"), () => this.copied());
    this.clear = button(say("clearMarks"), () => {
      app.set({ marks: [] });
      this.element.close();
    });
    this.element = h(
      "dialog",
      { class: "dialog marks" },
      this.title,
      this.command,
      this.note,
      h(
        "div",
        { class: "row" },
        this.copy,
        button(say("download"), () => this.download()),
        this.clear,
        button(say("close"), () => this.element.close()),
      ),
    );
    this.element.addEventListener(
      "click",
      (event) => event.target === this.element && this.element.close(),
    );
  }

  // `cell`: this one alone, whatever is marked. Without any mark, the one that keys are about.
  update(cell = null) {
    const { app } = this;
    const marked = app.state.marks.map((index) => app.store.byIndex.get(index)).filter(Boolean);
    const one = cell || (marked.length ? null : app.targetCell());
    this.cells = one ? [one] : marked;
    setText(this.copy, say("copy"));
    setText(this.title, one ? nameOf(app.store, one) || say("command") : say("exportMarked"));
    const { description, urls } = app.store;
    const hints = [one && !cell && "noMarks", urls.home && !description.live_control && "fromPage"];
    setText(this.note, hints.filter(Boolean).map((hint) => say(hint)).join(" "));
    this.clear.hidden = Boolean(one);
    this.command.value = this.cells.length ? sweepCommand(app.store, this.cells) : "";
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
    const written = new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });
    saveFile(written, `${store.description.name || "sdviz"}-marked.json`);
  }
}

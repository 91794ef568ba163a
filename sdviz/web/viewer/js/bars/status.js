// The first bar: name, state and progress of the sweep, the views, marks and help.

const TABS = VIEW_NAMES.filter((name) => name !== "inspect"); // a click on a cell opens it

// What holds for every cell, a setting a line; not what is at its default and changes nothing.
function fixedWords({ fixed = {}, quiet = [] }) {
  const told = Object.entries(fixed).filter(([key, value]) => value !== "" && !quiet.includes(key));
  return told.map(([key, value]) => `${key} ${value}`).join("\n");
}

class StatusBar {
  constructor(app) {
    this.app = app;
    const home = { class: "button home", title: say("sweeps"), "aria-label": say("sweeps") };
    this.home = h("a", home, "☰");
    this.title = h("b", { class: "name" });
    this.status = h("span", { class: "status", role: "status" });
    this.prompt = h("span", { class: "prompt" });
    const tab = (name) =>
      button(say(name), () => app.set({ view: name }), { role: "tab", "data-view": name });
    this.tabs = h("div", { class: "tabs", role: "tablist" }, TABS.map(tab));
    this.marks = button("", () => app.toggleDialog("marks"), { class: "marks" });
    const toggle = () => app.set({ tools: !app.state.tools });
    const more = button(say("axes"), toggle, { class: "more" });
    const named = { class: "help", "aria-label": say("keys"), title: say("keys") };
    const help = button("?", () => app.toggleDialog("help"), named);
    const parts = [this.home, this.title, this.status, this.prompt, this.tabs, this.marks, more, help];
    this.element = h("div", { class: "bar head" }, parts);
  }

  update() {
    const { store, state } = this.app;
    this.home.hidden = !store.urls.home;
    this.home.href = store.url("home", {});
    setText(this.title, store.description.name || "");
    this.title.title = store.notes.map((note) => note.text).join("\n");
    setText(this.status, this.words().join(" · "));
    this.status.classList.toggle("lost", Boolean(store.lost));
    const { prompt, negative } = store.fixed;
    setText(this.prompt, [prompt, negative && `negative: ${negative}`].filter(Boolean).join(" · "));
    this.prompt.title = fixedWords(store.description);
    const { figures = [] } = store.description;
    this.tabs.lastChild.hidden = !figures.length;
    for (const tab of this.tabs.children) {
      tab.setAttribute("aria-selected", String(tab.dataset.view === state.view));
    }
    this.marks.hidden = !state.marks.length;
    setText(this.marks, `${state.marks.length} ${say("marked")}`);
  }

  // Says something in the place of the sweep's state, until that changes.
  tell(text) {
    setText(this.status, text);
  }

  words() {
    const { store } = this.app;
    const { progress = {}, status } = store.description;
    const counted = () => store.cells.filter((cell) => cell.s === "done").length;
    const done = progress.done === undefined ? counted() : progress.done;
    const words = [say(status), `${done}/${progress.total || store.cells.length} ${say("cells")}`];
    if (progress.failed) words.push(`${progress.failed} ${say("failedCells")}`);
    const left = store.ended ? NaN : progress.seconds_left;
    if (Number.isFinite(left)) words.push(`${seconds(left)} ${say("left")}`);
    else if (Number.isFinite(progress.seconds)) words.push(seconds(progress.seconds));
    if (store.lost) words.push(say(store.lost));
    return words;
  }
}

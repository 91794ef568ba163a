// Every action and its key, in one table: it is what `?` lists.

const KEYS = [
  {
    keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"],
    show: "← → ↑ ↓",
    say: "helpMove",
    run: (app, key) =>
      walk(
        app,
        ...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key],
      ),
  },
  {
    keys: ["Enter"],
    show: "Enter",
    say: "helpOpen",
    run: (app) => app.currentCell() && inspect(app, app.targetCell()),
  },
  { keys: ["Escape"], show: "Esc", say: "helpBack", run: goBack },
  {
    keys: [",", "."],
    show: ", .",
    say: "helpStep",
    run: (app, key) => app.transport.nudge(key === "," ? -1 : 1),
  },
  {
    keys: ["Home", "End"],
    show: "Home End",
    say: "helpEnds",
    run: (app, key) => app.transport.nudge(key === "Home" ? -1e9 : 1e9),
  },
  { keys: [" "], show: "Space", say: "helpPlay", run: (app) => app.transport.toggle() },
  {
    keys: ["<", ">"],
    show: "< >",
    say: "helpSpeed",
    run: (app, key) => app.transport.faster(key === "<" ? -1 : 1),
  },
  {
    keys: ["s"],
    show: "s",
    say: "helpAlign",
    run: (app) => app.transport.setAlign(nextOf(ALIGNMENTS, app.state.align)),
  },
  {
    keys: ["[", "]"],
    show: "[ ]",
    say: "helpPage",
    run: (app, key) => turnPage(app, key === "[" ? -1 : 1),
  },
  { keys: ["P"], show: "P", say: "helpTurn", run: (app) => app.turner.toggle() },
  {
    keys: ["(", ")"],
    show: "( )",
    say: "helpSize",
    run: (app, key) =>
      app.set({
        size: clamp(Math.round((app.shownSize || 128) * (key === "(" ? 0.8 : 1.25)), 48, 1024),
      }),
  },
  { keys: ["w"], show: "w", say: "helpFit", run: (app) => app.set({ size: null }) },
  {
    keys: ["+", "=", "-", "0"],
    show: "+ − 0",
    say: "helpZoom",
    run: (app, key) =>
      app.set({
        zoom:
          key === "0" ? { k: 1, x: 0, y: 0 } : zoomed(app.state.zoom, key === "-" ? 1 / 1.5 : 1.5),
      }),
  },
  {
    keys: ["a", "b"],
    show: "a b",
    say: "helpAB",
    run: (app, key) => app.targetCell() && app.set({ [key]: app.targetCell().i }),
  },
  {
    keys: ["x"],
    show: "x",
    say: "helpSwap",
    run: (app) => app.set({ a: app.state.b, b: app.state.a }),
  },
  {
    keys: ["d"],
    show: "d",
    say: "helpMode",
    run: (app) =>
      app.set({
        view: "compare",
        mode: app.state.view === "compare" ? nextOf(MODES, app.state.mode) : app.state.mode,
      }),
  },
  {
    keys: ["g", "f", "c", "v", "t"],
    show: "g f c v t",
    say: "helpViews",
    run: (app, key) =>
      app.set({ view: { g: "sheet", f: "strips", c: "compare", v: "curves", t: "timings" }[key] }),
  },
  { keys: ["m"], show: "m", say: "helpMark", run: (app) => toggleMark(app, app.targetCell()) },
  { keys: ["e"], show: "e", say: "helpExport", run: (app) => app.toggleDialog("marks") },
  {
    keys: ["o"],
    show: "o",
    say: "helpOrder",
    run: (app) => app.set({ order: nextOf(ordersOf(app.store), app.state.order) }),
  },
  {
    keys: ["p"],
    show: "p",
    say: "helpTranspose",
    run: (app) => app.set({ roles: transposed(app.state.roles) }),
  },
  { keys: ["u"], show: "u", say: "helpAxes", run: (app) => chooseAxes(app) },
  {
    keys: ["i"],
    show: "i",
    say: "helpCaptions",
    run: (app) => app.set({ captions: !app.state.captions }),
  },
  { keys: ["S"], show: "S", say: "helpSave", run: (app) => savePicture(app) },
  {
    keys: ["r", "R"],
    show: "r R",
    say: "helpRerun",
    live: true,
    run: (app, key) => rerun(app, app.targetCell(), key === "r" ? "again" : "seeds"),
  },
  { keys: ["?"], show: "?", say: "helpHelp", run: (app) => app.toggleDialog("help") },
];

const nextOf = (list, value) => list[(list.indexOf(value) + 1) % list.length];

// Fields keep the keys that they need; a slider only its own.
function belongsToField(target, key) {
  if (!target || !target.tagName) return false;
  const moves = key.startsWith("Arrow") || ["Home", "End"].includes(key);
  if (target.tagName === "TEXTAREA") return true;
  if (target.tagName === "SELECT")
    return moves || key === "Enter" || key === " " || key.length === 1;
  if (target.tagName === "BUTTON" || target.tagName === "SUMMARY")
    return key === "Enter" || key === " ";
  if (target.tagName !== "INPUT") return false;
  if (target.type === "range") return moves;
  return target.type === "checkbox" ? key === " " : true;
}

function pressed(app, event) {
  if (!app.state || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const open = Object.values(app.dialogs).some((dialog) => dialog.element.open);
  if (open || belongsToField(event.target, event.key)) return;
  const action = KEYS.find((entry) => entry.keys.includes(event.key));
  if (!action || (action.live && !app.store.description.live_control)) return;
  event.preventDefault();
  action.run(app, event.key);
}

class Help {
  constructor(app) {
    this.app = app;
    this.list = h("dl", {});
    this.element = h(
      "dialog",
      { class: "dialog help" },
      h("h2", {}, say("keys")),
      this.list,
      h("p", {}, say("mouse")),
      button(say("close"), () => this.element.close()),
    );
    this.element.addEventListener("keydown", (event) => event.key === "?" && this.element.close());
    this.element.addEventListener(
      "click",
      (event) => event.target === this.element && this.element.close(),
    );
  }

  update() {
    const shown = KEYS.filter((entry) => !entry.live || this.app.store.description.live_control);
    this.list.replaceChildren(
      ...shown.map((entry) =>
        h(
          "div",
          {},
          h(
            "dt",
            {},
            entry.show.split(" ").map((key) => h("kbd", {}, key)),
          ),
          h("dd", {}, say(entry.say)),
        ),
      ),
    );
  }
}

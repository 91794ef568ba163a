// Going from cell to cell and from view to view.

// Opens a cell at `own` (a step, or null for its final image); without it, at the step that the
// sheet shows.
function inspect(app, cell, own = wantedStep(app.store, cell, app.state.align, app.state.at)) {
  app.transport.stop();
  const { view, back } = app.state;
  app.set({ view: "inspect", cell: cell.i, own, back: view === "inspect" ? back : view });
}

// From the inspector to where it was opened; from anywhere else to the sheet.
function goBack(app) {
  app.set({ view: app.state.view === "inspect" ? app.state.back || "sheet" : "sheet" });
}

// One cell along the columns (dx) or rows (dy), or through the sorted list.
function walk(app, dx, dy) {
  const { state, grid } = app;
  const cell = app.currentCell();
  app.point(null);
  if (!cell) return;
  const { sheet } = app.views;
  const flow = state.order === "axes" ? null : sorted(cellsOf(grid), state.order);
  const line = state.view === "sheet" ? sheet.geometry.columns : 1;
  const next = flow ? flow[flow.indexOf(cell) + dx + dy * line] : neighbour(grid, cell, dx, dy);
  // The first press only shows where one stands.
  const chosen = state.cell === null && state.view === "sheet" ? cell : next;
  if (!chosen) return;
  app.set({ cell: chosen.i });
  if (state.view === "sheet") sheet.reveal(chosen);
  else app.later("layout");
}

// An axis that is pages turns, the last one unless told; the current cell moves along.
function turnPage(app, by, dim = app.state.roles.lastIndexOf("page")) {
  const { state, store } = app;
  if (dim < 0) return;
  const count = store.dims[dim].labels.length;
  const value = (state.page[dim] + by + count) % count;
  const cell = store.byIndex.get(state.cell);
  const moved = cell && store.at(replaced(cell.c, dim, value));
  app.set({ page: replaced(state.page, dim, value), ...(moved ? { cell: moved.i } : {}) });
}

function chooseAxes(app) {
  app.set({ view: "sheet", tools: true });
  requestAnimationFrame(() => {
    const first = app.axes.element.querySelector("select");
    if (first) first.focus();
  });
}

// The control pane of `python -m sdviz.live` listens for this.
function rerun(app, cell, what) {
  if (!cell) return;
  const detail = { recipe: app.store.recipe(cell), what };
  const asked = new CustomEvent("sdviz:rerun", { detail, bubbles: true, composed: true });
  app.root.dispatchEvent(asked);
}

// Where everything on the sheet stands, as numbers: no element is touched here.

const GAP = 8; // pixels between pictures
const CAPTION = 1.5; // line heights under a picture
const CELL_LABEL = 2.7; // line heights of a cell's own label, where there are no headers

// `view`: {width, height} in pixels; `unit`: the size of type, `measure` the width of a text; `flow`:
// a list of cells instead of rows and columns; `names`: of the axes that are rows and columns.
function sheetGeometry({ view, unit, measure, grid, flow, state, shape, labelled, names }) {
  const scale = unit / 13;
  const sided = !flow && hasLabels(grid.rows);
  const sideWidth = sided ? sideSize(grid.rows, names, view.width, unit, measure) : 0;
  const topHeight = flow || !hasLabels(grid.columns) ? 0 : topSize(grid, sided, unit);
  const caption =
    (state.captions ? Math.round(CAPTION * unit) : 0) +
    (labelled ? Math.round(CELL_LABEL * unit) : 0);
  const room = { width: view.width - sideWidth - GAP, height: view.height - topHeight - GAP };
  const longest = state.size || fitted({ room, flow, grid, shape, scale, caption });
  const width = Math.round(shape >= 1 ? longest : longest * shape);
  const height = Math.round(shape >= 1 ? longest / shape : longest);
  const [stepX, stepY] = [width + GAP, height + caption + GAP];
  const columns = flow ? Math.max(1, Math.floor(room.width / stepX)) : grid.columns.length;
  const rows = flow ? Math.ceil(flow.length / columns) : grid.rows.length;
  const size = { width, height, longest, unit, measure };
  return { ...size, sideWidth, topHeight, caption, stepX, stepY, columns, rows };
}

const hasLabels = (list) => list.length > 1 || Boolean(list[0] && list[0].labels.length);

// Wide enough for the rows' labels, which stand one below the other, and, within reason, for the
// axes' names in the corner.
function sideSize(rows, names, width, unit, measure) {
  const named = [...names.rows, ...names.columns].map((name) => measure(`${name} ↓`));
  const axes = Math.min(Math.max(0, ...named), 11 * unit);
  const labels = new Set(rows.flatMap((line) => line.labels));
  const longest = [...labels].reduce((most, label) => Math.max(most, measure(label)), axes);
  return Math.ceil(clamp(longest + 1.5 * unit, 4.5 * unit, Math.min(width * 0.26, 15 * unit)));
}

// High enough for the columns' labels and, in the corner, for a line for each axis.
function topSize({ rows, columns }, sided, unit) {
  const across = columns[0].labels.length;
  const inCorner = sided ? rows[0].labels.length + across : 0;
  return Math.round(unit * Math.max(1.2 + 1.35 * across, 0.35 + 1.35 * inCorner));
}

// The longer side of a picture: the whole sheet in view if its pictures stay large enough, else as
// wide as the view.
function fitted({ room, flow, grid, shape, scale, caption }) {
  const count = flow ? flow.length : grid.columns.length;
  const most = flow ? Math.floor(room.width / (152 * scale)) : count;
  const across = clamp(count, 1, Math.max(1, most));
  const down = flow ? Math.ceil(count / across) : grid.rows.length;
  const tall = room.height / Math.max(1, down) - GAP - caption;
  const whole = tall * shape >= 128 * scale;
  const wide = Math.min(room.width / across - GAP, whole ? tall * shape : 200 * scale);
  const longest = shape >= 1 ? wide : wide / shape;
  const least = Math.min(96, room.width - GAP) * Math.max(1, scale);
  return Math.floor(clamp(longest, least, clamp(room.height - 50, 128, 512 * scale)));
}

// Left and top of a cell within the field of cells.
function placeIn(geometry, row, column) {
  return [GAP + column * geometry.stepX, GAP + row * geometry.stepY];
}

// First and last + 1 of what is in view or within `margin` pixels of it.
function inView(start, extent, step, count, margin) {
  return [
    clamp(Math.floor((start - margin) / step), 0, Math.max(0, count - 1)),
    clamp(Math.ceil((start + extent + margin) / step), 0, count),
  ];
}

// Zoom and pan that all pictures share: three CSS variables on the root. x and y are parts of a
// picture's size.

function zoomed(zoom, factor, fx = 0.5, fy = 0.5) {
  const k = clamp(zoom.k * factor, 1, 32);
  const [u, v] = [(fx - zoom.x) / zoom.k, (fy - zoom.y) / zoom.k];
  return held({ k, x: fx - u * k, y: fy - v * k });
}

function panned(zoom, dx, dy) {
  return held({ k: zoom.k, x: zoom.x + dx, y: zoom.y + dy });
}

// The picture never leaves its frame.
function held({ k, x, y }) {
  return { k, x: clamp(x, 1 - k, 0), y: clamp(y, 1 - k, 0) };
}

// Wheel, drag and pinch on any `.pic` inside `element`. `plainWheel`: no Ctrl is needed.
function attachZoom(app, element, { plainWheel = false } = {}) {
  const pointers = new Map();
  let moved = 0;
  const box = (event) => {
    const picture = event.target.closest && event.target.closest(".pic");
    return picture ? picture.getBoundingClientRect() : null;
  };
  element.addEventListener(
    "wheel",
    (event) => {
      const frame = box(event);
      if (!frame || !(plainWheel || event.ctrlKey || event.altKey)) return;
      event.preventDefault();
      const factor = Math.exp(-clamp(event.deltaY, -120, 120) / 300);
      app.set({
        zoom: zoomed(
          app.state.zoom,
          factor,
          (event.clientX - frame.left) / frame.width,
          (event.clientY - frame.top) / frame.height,
        ),
      });
    },
    { passive: false },
  );
  element.addEventListener("pointerdown", (event) => {
    const frame = box(event);
    if (!frame || event.button > 0) return;
    if (pointers.size === 0) moved = 0;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, frame });
  });
  element.addEventListener("pointermove", (event) => {
    const held = pointers.get(event.pointerId);
    if (!held) return;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    moved += Math.abs(dx) + Math.abs(dy);
    if (pointers.size === 2) pinch(app, pointers, event, held);
    else if (app.state.zoom.k > 1 && moved > 3) {
      if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
      app.set({ zoom: panned(app.state.zoom, dx / held.frame.width, dy / held.frame.height) });
    }
    held.x = event.clientX;
    held.y = event.clientY;
  });
  const release = (event) => pointers.delete(event.pointerId);
  for (const name of ["pointerup", "pointercancel", "pointerleave"])
    element.addEventListener(name, release);
  element.addEventListener(
    "click",
    (event) => {
      if (moved > 6 && app.state.zoom.k > 1) event.stopImmediatePropagation();
      moved = 0;
    },
    true,
  );
}

function pinch(app, pointers, event, held) {
  const [other] = [...pointers.entries()]
    .filter(([id]) => id !== event.pointerId)
    .map(([, pointer]) => pointer);
  const before = Math.hypot(held.x - other.x, held.y - other.y);
  const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
  if (before < 8) return;
  const { frame } = held;
  const [fx, fy] = [
    ((held.x + other.x) / 2 - frame.left) / frame.width,
    ((held.y + other.y) / 2 - frame.top) / frame.height,
  ];
  app.set({ zoom: zoomed(app.state.zoom, after / before, fx, fy) });
}

// Finds the elements to live in, and lives on when Visdom throws them away and makes them anew.

const apps = new Map(); // data-src -> App; a report's own data has the key ""

// Inside our element nothing reaches the page around it: Visdom would drag its panes and swallow
// keys.
const KEPT = [
  "keydown",
  "keyup",
  "keypress",
  "mousedown",
  "mouseup",
  "click",
  "dblclick",
  "mousemove",
  "pointerdown",
  "pointermove",
  "pointerup",
  "touchstart",
  "touchmove",
  "touchend",
  "wheel",
  "contextmenu",
  "dragstart",
  "input",
  "change",
];

function mount(element) {
  if (element.shadowRoot) return;
  const source = element.dataset.src || "";
  const inside = element.querySelector('script[type="application/json"]');
  if (!source && !inside) return;
  const shadow = element.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [sheet];
  for (const name of KEPT) element.addEventListener(name, (event) => event.stopPropagation());
  let app = apps.get(source);
  if (!app) {
    const address = source ? new URL(source, document.baseURI).href : "";
    const store = new Store(address, source ? null : JSON.parse(inside.textContent));
    app = new App(store, { inHash: element.classList.contains("sdviz-page") });
    apps.set(source, app);
    app.start();
  } else if (app.state) {
    app.again();
  }
  shadow.append(app.root);
}

function mountAll() {
  for (const element of document.querySelectorAll(".sdviz")) mount(element);
}

// On a page of its own the keys work wherever the focus is.
document.addEventListener("keydown", (event) => {
  const app = [...apps.values()].find((one) => one.inHash && one.root.isConnected);
  if (app && event.target === document.body) pressed(app, event);
});

new MutationObserver(mountAll).observe(document.documentElement, {
  childList: true,
  subtree: true,
});
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
else mountAll();

// What our own panes on Visdom's page share: elements, languages, and roots that Visdom's handlers do not reach.
"use strict";
window.sdvizPane = (() => {
  const KEPT = ["keydown", "keyup", "keypress", "mousedown", "mouseup", "click", "dblclick", "mousemove", "pointerdown",
    "pointermove", "pointerup", "touchstart", "touchmove", "touchend", "wheel", "contextmenu", "dragstart", "input", "change"];

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  // The words of the browser's language; what Chinese lacks is English.
  const spoken = (en, zh) => ((navigator.language || "").toLowerCase().startsWith("zh") ? { ...en, ...zh } : en);

  // Puts what `root(source)` gives into every element that `selector` finds, now and later.
  function mountOn(selector, style, root) {
    function mount(element) {
      if (element.shadowRoot) return;
      const shadow = element.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(style);
      shadow.adoptedStyleSheets = [sheet];
      for (const name of KEPT) element.addEventListener(name, (event) => event.stopPropagation()); // Visdom would take them
      shadow.append(root(element.dataset.src, element.dataset));
    }
    const mountAll = () => document.querySelectorAll(selector).forEach(mount);
    new MutationObserver(mountAll).observe(document.documentElement, { childList: true, subtree: true });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
    else mountAll();
  }

  return { h, spoken, mountOn };
})();

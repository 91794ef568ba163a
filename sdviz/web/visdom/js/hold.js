// A window of a single cell follows the newest frame: Visdom moves its slider with each update. Once a person has moved
// the slider, it stays where it was put, until it is put at its end.
"use strict";
(() => {
  const SLIDERS = ".window .widget input[type=range]";
  const PICTURE = /\/sdviz\/sweep\/([^/]+)\/(?:frame|image|thumb)\/(\d+)[./]/;
  const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const held = new Map(); // sweep and cell -> the frame that a person has chosen

  // Visdom makes a window's elements anew with each update; what stays is the address of its picture.
  function cellOf(slider) {
    const picture = slider.closest(".window").querySelector("img.content-image");
    const found = picture && PICTURE.exec(picture.getAttribute("src"));
    return found ? `${found[1]} ${found[2]}` : "";
  }

  document.addEventListener("input", (event) => {
    const slider = event.target;
    if (!event.isTrusted || !slider.matches(SLIDERS)) return;
    const cell = cellOf(slider);
    if (Number(slider.value) < Number(slider.max)) held.set(cell, slider.value);
    else held.delete(cell);
  }, true);

  // Called before the browser paints what Visdom has changed, so that nothing is seen to jump.
  function hold() {
    if (!held.size) return;
    for (const slider of document.querySelectorAll(SLIDERS)) {
      const value = held.get(cellOf(slider));
      if (value === undefined || slider.value === value) continue;
      setValue.call(slider, value); // past React, which hears of it by the event
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const changes = { subtree: true, childList: true, attributes: true, attributeFilter: ["src", "max", "value"] };
  new MutationObserver(hold).observe(document, changes);
})();

// The difference map: the largest channel difference of each pixel, as a colour, and the scale
// beside it.

// `one` and `other`: ImageData of one size. A difference of 255 / gain has the lightest colour.
function drawDifference(canvas, one, other, gain) {
  [canvas.width, canvas.height] = [one.width, one.height];
  const context = canvas.getContext("2d");
  const map = context.createImageData(one.width, one.height);
  const colours = Array.from({ length: 256 }, (_, value) => gradient(HEAT, (value * gain) / 255));
  for (let at = 0; at < map.data.length; at += 4) {
    const red = Math.abs(one.data[at] - other.data[at]);
    const green = Math.abs(one.data[at + 1] - other.data[at + 1]);
    const blue = Math.abs(one.data[at + 2] - other.data[at + 2]);
    [map.data[at], map.data[at + 1], map.data[at + 2]] = colours[Math.max(red, green, blue)];
    map.data[at + 3] = 255;
  }
  context.putImageData(map, 0, 0);
}

class HeatScale {
  constructor() {
    this.top = h("span", {});
    const stops = Array.from({ length: 9 }, (_, at) => cssColour(gradient(HEAT, 1 - at / 8)));
    const bar = h("i", { style: `background:linear-gradient(${stops.join(",")})` });
    this.element = h("div", { class: "scale" }, this.top, bar, h("span", {}, "0"));
  }

  show(on, gain) {
    this.element.hidden = !on;
    setText(this.top, `${gain > 1 ? "≥ " : ""}${Math.round(255 / gain)}/255`);
  }
}

// Elements and figures. Text only ever enters the page as text nodes: prompts may hold anything.

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Width in pixels of a text as `root` would write it, bold.
function ruler(root) {
  const pen = document.createElement("canvas").getContext("2d");
  const { fontFamily, fontSize } = getComputedStyle(root);
  pen.font = `600 ${fontSize} ${fontFamily}`;
  return (text) => pen.measureText(text).width;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// `options`: [[value, text], ...]. Rebuilt only when they change, so that an open list stays open.
function setOptions(select, options, value) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([key, text]) => h("option", { value: key }, text)));
  }
  if (select.value !== String(value)) select.value = String(value);
}

function button(label, action, attributes = {}) {
  return h("button", { type: "button", onclick: action, ...attributes }, label);
}

const twoDigits = (value) => String(Math.floor(value)).padStart(2, "0");

// Figures keep their width: the number of decimals depends on the size only.
function seconds(value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  if (value >= 3600) return `${Math.floor(value / 3600)} h ${twoDigits((value % 3600) / 60)} min`;
  if (value >= 100) return `${Math.floor(value / 60)} min ${twoDigits(value % 60)} s`;
  if (value >= 10) return `${value.toFixed(1)} s`;
  return `${value.toFixed(2)} s`;
}

function figure(value, digits = 3) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(digits - 1);
  return value.toFixed(Math.max(0, Math.min(6, digits - 1 - Math.floor(Math.log10(size)))));
}

function valueText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value === "" ? "“”" : value;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// `row`: the setting's, of the description.
function settingText(row, value) {
  return value === "" && row.none ? "none" : valueText(value);
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

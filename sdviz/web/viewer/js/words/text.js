// The texts in the browser's language.

const LANGUAGE = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
const WORDS = LANGUAGE === "zh" ? { ...EN, ...ZH } : EN;

function say(key, values = {}) {
  const text = WORDS[key] === undefined ? key : WORDS[key];
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

// Small helpers for building the page. Text from outside only ever goes through textContent.
import { decimal } from "./numbers.js";

/** An element with attributes and children; null attributes are left out. */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  for (const child of [children].flat()) made.append(child);
  return made;
}

/** An element of a drawing, with attributes and children. */
export function svgElement(tag, attributes = {}, children = []) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...[children].flat());
  return made;
}

/** Say something to readers of the screen. */
export function announce(message) {
  document.getElementById("announcements").textContent = message;
}

/** A label around a control, with an output that shows its value. */
export function labeled(text, control, output = null) {
  const children = [element("span", { class: "label" }, text), control];
  if (output) children.push(output);
  return element("label", { class: "control" }, children);
}

/** A number with two decimals; missing ones are named. */
export function figure(value) {
  return Number.isNaN(value) ? "missing" : decimal(value);
}

/** L3H1. */
export function headName(layer, head) {
  return `L${layer}H${head}`;
}

/** Text for Plotly's labels, which reads some HTML in them. */
export function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** A label of at most so many code points; no letter is cut from its marks. */
export function shortened(label, longest = 18) {
  if ([...label].length <= longest) return label;
  let kept = "";
  for (const { segment } of graphemes.segment(label)) {
    if ([...kept, ...segment].length >= longest) break;
    kept += segment;
  }
  return `${kept}…`;
}

const RIGHT_TO_LEFT =
  /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;

/** Whether a text has letters that run from right to left. */
export function runsLeft(text) {
  return RIGHT_TO_LEFT.test(text);
}

/** A token in a sentence: in quotes, shortened; one that runs left must not turn the sentence. */
export function quoted(label, longest = 24) {
  const words = shortened(label, longest);
  return runsLeft(label) ? `“\u2068${words}\u2069”` : `“${words}”`;
}

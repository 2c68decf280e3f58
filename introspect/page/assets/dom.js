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

/** A label of at most so many characters. */
export function shortened(label, longest = 18) {
  const characters = [...label];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : label;
}

/** A token in a sentence: in quotes, shortened. */
export function quoted(label, longest = 24) {
  return `“${shortened(label, longest)}”`;
}

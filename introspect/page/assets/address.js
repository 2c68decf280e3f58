// What an address may choose. What it says is text from anywhere: only what names exactly one of a
// view's own choices counts, and anything else leaves the view as it is.

// A number as the views write it: no sign, fraction, exponent or leading zero, and never huge.
const WHOLE = /^(?:0|[1-9]\d{0,8})$/;
const DECIMAL = /^(?:0|[1-9]\d{0,8})(?:\.\d{1,20})?$/;

/** The values of one owner in an address's hash, by name; an anchor, which has no value, is none. */
export function valuesIn(hash, owner) {
  const text = hash.startsWith("#") ? hash.slice(1) : hash;
  // Without a prototype: "constructor" and "__proto__" are names like any other.
  const values = Object.create(null);
  for (const [name, value] of new URLSearchParams(text.includes("=") ? text : "")) {
    if (name.startsWith(`${owner}.`)) values[name.slice(owner.length + 1)] = value;
  }
  return values;
}

/**
 * The choices in a link that fit a view, by name.
 *
 * `readers` has a function for each name that the view knows, which returns the choice that a text
 * stands for, or null.
 */
export function fitting(link, readers) {
  const choices = {};
  for (const [name, read] of Object.entries(readers)) {
    const text = Object.hasOwn(link, name) ? link[name] : null;
    const value = typeof text === "string" ? read(text) : null;
    if (value !== null) choices[name] = value;
  }
  return choices;
}

/** One of some names. */
export function oneOf(names) {
  return (text) => (names.includes(text) ? text : null);
}

/** A whole number below an end. */
export function below(end) {
  return (text) => (WHOLE.test(text) && Number(text) < end ? Number(text) : null);
}

/** A number within two ends, which may have a fraction. */
export function within(first, last) {
  return (text) => {
    const number = DECIMAL.test(text) ? Number(text) : Number.NaN;
    return number >= first && number <= last ? number : null;
  };
}

/** The row of a layer that is named by its number. */
export function rowOfLayer(layers) {
  return (text) => {
    const row = WHOLE.test(text) ? layers.indexOf(Number(text)) : -1;
    return row === -1 ? null : row;
  };
}

/** Several choices with commas between them; "none" for none. */
export function several(read) {
  return (text) => {
    if (text === "none") return [];
    const parts = text.split(",");
    const values = parts.map(read);
    // One that is named twice would count twice in a mean.
    return values.includes(null) || new Set(parts).size < parts.length ? null : values;
  };
}

/** A first and a last of some places, as "3-7"; the last that there may be is given. */
export function range(last) {
  return (text) => {
    const [start, end] = text.split("-").map(below(last + 1));
    const isRange = start !== null && Number.isInteger(end) && start <= end;
    return isRange && text === `${start}-${end}` ? [start, end] : null;
  };
}

/** "L3H1" as row and head. */
export function headNamed(layers, numHeads) {
  return (text) => {
    const [, layer, head] = text.match(/^L(\d{1,9})H(\d{1,9})$/) ?? [];
    if (layer === undefined) return null;
    const [row, number] = [rowOfLayer(layers)(layer), below(numHeads)(head)];
    return row === null || number === null ? null : [row, number];
  };
}

// What the numbers of a view are: a record's own weights, or those of another method.
import { oneOf } from "./address.js";
import { choice } from "./controls.js";
import { quantity } from "./numbers.js";
import { MethodPattern, NormPattern } from "./patterns.js";

// Every view reads the same ones.
const patterns = new WeakMap();

/** Unpack what the methods of a record need; everything else needs this to have happened. */
export async function loadMethods(record) {
  for (const name of Object.keys(record.methods)) {
    await record.loadPart(name === "norm" ? "value_norms" : name);
  }
}

/** What the page says of a method; null for a record's own weights. */
export function methodOf(record, weights) {
  return record.methods[weights] ?? null;
}

/** Whether one map is for all heads together. */
export function isWhole(record, weights) {
  return methodOf(record, weights)?.byHead === false;
}

/** Whether the numbers may be larger than 1. */
export function isUnbounded(record, weights) {
  return methodOf(record, weights)?.bounded === false;
}

/** The record, or the pattern of a method with the same face. */
export function patternBy(record, weights) {
  if (!methodOf(record, weights)) return record;
  if (!patterns.has(record)) patterns.set(record, {});
  const known = patterns.get(record);
  known[weights] ??=
    weights === "norm" ? new NormPattern(record) : new MethodPattern(record, weights);
  return known[weights];
}

/** The weights that a record can be shown by, with their words. */
export function weighingsOf(record, own = [["raw", "raw"]]) {
  return [...own, ...Object.entries(record.methods).map(([name, { label }]) => [name, label])];
}

/** Reads those of an address, if the record has them. */
export function weightsFrom(record) {
  return oneOf(weighingsOf(record).map(([name]) => name));
}

/** What a view that shows a record by its methods shows for a weighting chosen elsewhere. */
export function fittingWeights(record, name) {
  return weightsFrom(record)(name) ?? "raw";
}

/** The choice of them; null where there is only one. */
export function weighingChoice(record, value, change) {
  const options = weighingsOf(record);
  if (options.length === 1) return null;
  return choice({ name: "weights", label: "Weights", options, value, change }).root;
}

/** A method that takes all heads together, and its layer, in words. */
export function wholeWords(record, weights, row) {
  const { label, through } = methodOf(record, weights);
  return `${label}, ${through ? "up to " : ""}layer ${record.layers[row]}, all heads together`;
}

/** By which weights a picture is, in its small print. */
export function weightsWords(record, weights) {
  if (weights === "renormalized") return "weights without special tokens and the token itself";
  return methodOf(record, weights)?.label ?? `${weights} weights`;
}

/** What a number is, where it is no attention weight. */
export function numberWords(record, weights) {
  const method = methodOf(record, weights);
  if (!method) return "";
  const unit = method.exponent === 0 ? "" : `, in units of ${quantity(10 ** method.exponent)}`;
  const of = method.of === null ? "" : ` Differentiated: ${method.of}.`;
  return `A number is the ${method.number}${unit}.${of}`;
}

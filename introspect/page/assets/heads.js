// Which head is shown: one of a layer, or the mean or the largest of them all.
import { below } from "./address.js";
import { choice } from "./controls.js";
import { headName } from "./dom.js";
import { isWhole, methodOf, wholeWords } from "./weighings.js";

const COMBINED = [
  ["mean", "mean of all"],
  ["max", "largest of all"],
];

// What is shown

/** One weight of a head, or of the mean or the largest of a layer's heads. */
export function weightOf(record, row, head, query, key) {
  if (typeof head === "number") return record.weight(row, head, query, key);
  let value = 0;
  for (let one = 0; one < record.numHeads; one += 1) {
    const weight = record.weight(row, one, query, key);
    value = head === "max" ? Math.max(value, weight) : value + weight / record.numHeads;
  }
  return value;
}

/** What a query gives to each key, as `weightOf`; faster where the page holds few weights. */
export function rowOf(record, row, head, query) {
  const values = new Float64Array(record.keyLen);
  const heads =
    typeof head === "number" ? [head] : Array.from({ length: record.numHeads }, (_, one) => one);
  for (const one of heads) {
    record.forEachWeight(row, one, query, (key, weight) => {
      values[key] =
        head === "max" ? Math.max(values[key], weight) : values[key] + weight / heads.length;
    });
  }
  return values;
}

/** A layer and head in words, and by which method where it is one. */
export function headWords(record, row, head, weights = "raw") {
  if (isWhole(record, weights)) return wholeWords(record, weights, row);
  const method = methodOf(record, weights);
  return method ? `${attended(record, row, head)}, ${method.label}` : attended(record, row, head);
}

function attended(record, row, head) {
  const layer = record.layers[row];
  if (typeof head === "number") return headName(layer, head);
  return `${head === "mean" ? "mean" : "largest"} of ${record.numHeads} heads of layer ${layer}`;
}

/** Reads "mean", "max" or the number of a head that the record has; null for anything else. */
export function headFrom(record) {
  const number = below(record.numHeads);
  return (text) => (text === "mean" || text === "max" ? text : number(text));
}

/** The head next to one, in either direction; from all heads the first or the last. */
export function nextHead(record, head, step) {
  const next = typeof head === "number" ? head + step : step > 0 ? 0 : record.numHeads - 1;
  return Math.min(Math.max(next, 0), record.numHeads - 1);
}

/** The choice of a head of a record. */
export function headChoice(record, { name, label, value, change }) {
  const heads = Array.from({ length: record.numHeads }, (_, head) => [String(head), String(head)]);
  return choice({
    name,
    label,
    options: [...COMBINED, ...heads],
    value: String(value),
    change: (text) => change(headFrom(record)(text)),
  });
}

/** The choice of a layer of a record, by row. */
export function layerChoice(record, { name, label, value, change }) {
  return choice({
    name,
    label,
    options: record.layers.map((layer, row) => [String(row), String(layer)]),
    value: String(value),
    change: (text) => change(Number(text)),
  });
}

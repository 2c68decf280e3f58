// What a head view shows: its choices, what follows from them, and their words in the address.
import { below, fitting, oneOf, rowOfLayer, several, within } from "./address.js";
import { combined, largestOf, RenormalizedPattern, WordPattern } from "./patterns.js";
import { isUnbounded, isWhole, methodOf, patternBy, weighingsOf } from "./weighings.js";

/** How heads are put together; the second word says over which layers. */
export const COMBINATIONS = [
  ["separate", "each apart"],
  ["mean", "mean"],
  ["max", "largest"],
  ["mean-layers", "mean over layers"],
  ["max-layers", "largest over layers"],
];
export const FILTERS = [
  ["all", "both texts"],
  ["0-0", "A → A"],
  ["0-1", "A → B"],
  ["1-0", "B → A"],
  ["1-1", "B → B"],
];

/** Weights that the view makes by itself, and what a number beside a token says. */
const OWN = {
  raw: { label: "raw", number: "attention weight" },
  renormalized: {
    label: "without specials and itself",
    number: "attention weight without special tokens and itself",
  },
};

/** The weights that a record can be shown by, as names and words. */
export function weightsOf(record) {
  return weighingsOf(
    record,
    Object.entries(OWN).map(([name, { label }]) => [name, label]),
  );
}

/** The state of one head view over one of its records. */
export class HeadState {
  constructor(record, style) {
    this.record = record;
    const row = record.layers.indexOf(style.layer);
    const all = Array.from({ length: record.numHeads }, (_, head) => head);
    const heads = style.heads.filter((head) => head < record.numHeads);
    this.first = {
      layer: record.layers[row === -1 ? 0 : row],
      heads: heads.length === 0 && style.heads.length > 0 ? all : heads,
      pins: style.pins,
      threshold: style.threshold,
      granularity: style.granularity,
      weights: weightsOf(record).some(([name]) => name === style.weights) ? style.weights : "raw",
      combine: style.combine,
      filter: "all",
      layout: style.layout,
    };
    Object.assign(this, structuredClone(this.first));
    this.pointed = null;
    this.cache = { key: "", weights: null };
    this.patterns = {};
    this.scales = {};
  }

  get row() {
    return this.record.layers.indexOf(this.layer);
  }

  /** Whether one map is for all heads together. */
  get isWhole() {
    return isWhole(this.record, this.weights);
  }

  /** Whether the numbers may be larger than 1. */
  get isUnbounded() {
    return isUnbounded(this.record, this.weights);
  }

  /** What a number beside a token says. */
  get number() {
    return (methodOf(this.record, this.weights) ?? OWN[this.weights]).number;
  }

  /** The heads that are drawn. */
  get drawn() {
    return this.isWhole ? [0] : this.heads;
  }

  /** The record, by word or piece, raw, renormalized or by a method. */
  get pattern() {
    const name = `${this.granularity} ${this.weights}`;
    if (!this.patterns[name]) {
      const given = patternBy(this.record, this.weights);
      const base = this.granularity === "word" ? new WordPattern(given) : given;
      const isSelf = base.keys === base.queries;
      this.patterns[name] =
        this.weights === "renormalized"
          ? new RenormalizedPattern(base, this.record.numHeads, isSelf)
          : base;
    }
    return this.patterns[name];
  }

  /** The layers that are shown. */
  get rows() {
    const isOfAll = this.combine.includes("layers") && !this.isWhole;
    return isOfAll ? this.record.layers.map((_, row) => row) : [this.row];
  }

  /** What counts as a full weight: 1, or of what has no bound, the largest there is. */
  get scale() {
    if (!this.isUnbounded) return 1;
    const name = `${this.granularity} ${this.weights} ${this.rows}`;
    const numHeads = this.isWhole ? 1 : this.record.numHeads;
    this.scales[name] ??= largestOf(this.pattern, this.rows, numHeads);
    return this.scales[name];
  }

  get isCombined() {
    return this.isWhole || this.combine !== "separate";
  }

  /** The tokens whose weights are shown: the one pointed at, else those that were pinned. */
  get focal() {
    return this.pointed ? [this.pointed] : this.pins;
  }

  /** One weight of all shown heads together. */
  together(query, key) {
    if (this.isCombined) return this.whole()[query * this.pattern.keyLen + key];
    const { pattern, row, heads } = this;
    let sum = 0;
    for (const head of heads) sum += pattern.weight(row, head, query, key);
    return sum / heads.length;
  }

  /** All weights of the combination, made once for each choice. */
  whole() {
    const [how] = this.combine.split("-");
    const { rows, drawn } = this;
    const key = [how, rows, drawn, this.granularity, this.weights].join(" ");
    if (this.cache.key !== key) {
      this.cache = { key, weights: combined(this.pattern, rows, drawn, how) };
    }
    return this.cache.weights;
  }

  /** The tokens of a side that the filter leaves. */
  shown(side) {
    const sequence = this.pattern[side === "query" ? "queries" : "keys"];
    const wanted = { query: 0, key: 1 }[side];
    const number = this.filter === "all" ? null : Number(this.filter.split("-")[wanted]);
    return sequence.labels
      .map((_, index) => index)
      .filter((index) => number === null || sequence.sequences[index] === number);
  }

  /** What differs from how the view began, as text. */
  toLink() {
    const texts = {
      layer: (value) => value,
      heads: (value) => value.join(",") || "none",
      pins: (value) => value.map(({ side, index }) => `${side[0]}${index}`).join(","),
      threshold: (value) => value,
      granularity: (value) => value,
      weights: (value) => value,
      combine: (value) => value,
      filter: (value) => value,
      layout: (value) => value,
    };
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => {
        const now = String(text(this[name]));
        return [name, now === String(text(this.first[name])) ? null : now || "none"];
      }),
    );
  }

  /** Take what an address says; what does not fit the record is left as it was. */
  fromLink(link) {
    const { layers, numHeads } = this.record;
    const { layer, ...choices } = fitting(link, {
      layer: rowOfLayer(layers),
      heads: several(below(numHeads)),
      granularity: oneOf(["token", "word"]),
      weights: oneOf(weightsOf(this.record).map(([name]) => name)),
      combine: oneOf(COMBINATIONS.map(([name]) => name)),
      filter: oneOf(FILTERS.map(([name]) => name)),
      layout: oneOf(["vertical", "horizontal"]),
      threshold: within(0, 1),
    });
    Object.assign(this, choices);
    if (layer !== undefined) this.layer = layers[layer];
    // Only now: how many tokens there are depends on the granularity.
    Object.assign(this, fitting(link, { pins: several(pinOf(this.pattern)) }));
  }
}

/** Reads a pinned token: q3 is a query, k3 a key. */
function pinOf({ queryLen, keyLen }) {
  return (text) => {
    const side = { q: "query", k: "key" }[text[0]];
    if (side === undefined) return null;
    const index = below(side === "query" ? queryLen : keyLen)(text.slice(1));
    return index === null ? null : { side, index };
  };
}

// What a record says, seen in another way: by words, without the special tokens, or by norms.
//
// Every pattern has the same face as a record: queries, keys, queryLen, keyLen and weight(…).
import { groupsOf, labelOf } from "./shares.js";

/** Numbers in place of a record's weights, all of them in the page. */
class OtherPattern {
  constructor(record, numHeads) {
    this.record = record;
    this.layers = record.layers;
    this.numLayers = record.numLayers;
    this.numHeads = numHeads;
    this.queries = record.queries;
    this.keys = record.keys;
    this.queryLen = record.queryLen;
    this.keyLen = record.keyLen;
  }
}

/** Each weight times the length of what its key brings: the norms of the values. */
export class NormPattern extends OtherPattern {
  constructor(record) {
    super(record, record.numHeads);
  }

  norm(row, head, key) {
    return this.record.component("value_norms", row, head, key, 0);
  }

  weight(row, head, query, key) {
    return this.record.weight(row, head, query, key) * this.norm(row, head, key);
  }

  forEachWeight(row, head, query, visit) {
    this.record.forEachWeight(row, head, query, (key, weight) => {
      visit(key, weight * this.norm(row, head, key));
    });
  }
}

/**
 * The numbers of a method that the page holds, in its unit; one that takes all heads together has one
 * head.
 */
export class MethodPattern extends OtherPattern {
  constructor(record, name) {
    super(record, record.partHeads(name));
    this.name = name;
    this.unit = 10 ** record.methods[name].exponent;
  }

  weight(row, head, query, key) {
    const own = this.numHeads === 1 ? 0 : head;
    return this.record.component(this.name, row, own, query, key) / this.unit;
  }

  forEachWeight(row, head, query, visit) {
    for (let key = 0; key < this.keyLen; key += 1) visit(key, this.weight(row, head, query, key));
  }
}

/** The largest weight of some layers, over all heads; 1 where there is none. */
export function largestOf(pattern, rows, numHeads) {
  let largest = 0;
  for (const row of rows) {
    for (let head = 0; head < numHeads; head += 1) {
      for (let query = 0; query < pattern.queryLen; query += 1) {
        for (let key = 0; key < pattern.keyLen; key += 1) {
          const weight = pattern.weight(row, head, query, key);
          if (weight > largest) largest = weight;
        }
      }
    }
  }
  return largest || 1;
}

/** Weights by word: the sum over the key's pieces, the mean over the query's. */
export class WordPattern {
  constructor(base) {
    this.base = base;
    this.queries = merged(base.queries);
    this.keys = base.keys === base.queries ? this.queries : merged(base.keys);
    this.queryLen = this.queries.groups.length;
    this.keyLen = this.keys.groups.length;
    this.known = new Map();
  }

  weight(row, head, query, key) {
    const place = row * this.base.numHeads + head;
    if (!this.known.has(place)) this.known.set(place, this.all(row, head));
    return this.known.get(place)[query * this.keyLen + key];
  }

  forEachWeight(row, head, query, visit) {
    for (let key = 0; key < this.keyLen; key += 1) visit(key, this.weight(row, head, query, key));
  }

  /** Of a long text few weights are there; a walk over all pairs would find zeros. */
  all(row, head) {
    const sums = new Float64Array(this.queryLen * this.keyLen);
    const { groupOf } = this.keys;
    this.queries.groups.forEach((sources, query) => {
      for (const source of sources) {
        this.base.forEachWeight(row, head, source, (key, weight) => {
          sums[query * this.keyLen + groupOf[key]] += weight / sources.length;
        });
      }
    });
    return Float32Array.from(sums);
  }
}

const words = new WeakMap();

/** One entry for each word; the same ones for every pattern of a text. */
function merged(sequence) {
  if (!words.has(sequence)) words.set(sequence, mergedAnew(sequence));
  return words.get(sequence);
}

/** A special token stays one of its own. */
function mergedAnew(sequence) {
  const { groups, groupOf } = groupsOf(sequence, "word");
  const firsts = groups.map((group) => group[0]);
  return {
    groups,
    groupOf,
    labels: firsts.map((index) => labelOf(sequence, index, "word")),
    special: firsts.map((index) => sequence.special[index]),
    unknown: groups.map((group) => Number(group.some((index) => sequence.unknown[index]))),
    generated: groups.map((group) => Number(group.some((index) => sequence.generated?.[index]))),
    sequences: firsts.map((index) => sequence.sequences[index]),
  };
}

/** Special tokens and the query itself dropped, and what is left made to sum to 1. */
export class RenormalizedPattern {
  constructor(base, numHeads, isSelf) {
    this.base = base;
    this.numHeads = numHeads;
    this.isSelf = isSelf;
    this.queries = base.queries;
    this.keys = base.keys;
    this.queryLen = base.queryLen;
    this.keyLen = base.keyLen;
    this.known = new Map();
  }

  /** Whether a key has no part in what a query gives. */
  isDropped(query, key) {
    return Boolean(this.keys.special[key]) || (this.isSelf && query === key);
  }

  /** How much of a row went to what is dropped, and how much is left. */
  shares(row, head, query) {
    const place = (row * this.numHeads + head) * this.queryLen + query;
    if (!this.known.has(place)) {
      const shares = { removed: 0, kept: 0 };
      this.base.forEachWeight(row, head, query, (key, weight) => {
        shares[this.isDropped(query, key) ? "removed" : "kept"] += weight;
      });
      this.known.set(place, shares);
    }
    return this.known.get(place);
  }

  weight(row, head, query, key) {
    if (this.isDropped(query, key)) return 0;
    const { kept } = this.shares(row, head, query);
    // Of nothing there is no share.
    return kept < 1e-6 ? Number.NaN : this.base.weight(row, head, query, key) / kept;
  }

  forEachWeight(row, head, query, visit) {
    const { kept } = this.shares(row, head, query);
    this.base.forEachWeight(row, head, query, (key, weight) => {
      // Of nothing there is no share.
      const share = kept < 1e-6 ? Number.NaN : weight / kept;
      visit(key, this.isDropped(query, key) ? 0 : share);
    });
  }
}

/** Several heads, or all layers, as one: their mean or their largest weight. */
export function combined(pattern, rows, heads, how) {
  const weights = new Float32Array(pattern.queryLen * pattern.keyLen);
  const count = rows.length * heads.length;
  for (let query = 0; query < pattern.queryLen; query += 1) {
    for (let key = 0; key < pattern.keyLen; key += 1) {
      let value = 0;
      for (const row of rows) {
        for (const head of heads) {
          const weight = pattern.weight(row, head, query, key);
          value = how === "max" ? largest(value, weight) : value + weight / count;
        }
      }
      weights[query * pattern.keyLen + key] = value;
    }
  }
  return weights;
}

/** The larger one; missing if one is missing, which Math.max keeps too. */
function largest(a, b) {
  return Math.max(a, b);
}

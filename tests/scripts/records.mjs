// Records as the page's scripts see them, of weights that a test writes down, and no browser.

/** The tokens of a text; a label in brackets is a special token. */
export function sequence(labels) {
  return {
    labels,
    special: labels.map((label) => Number(label.startsWith("["))),
    unknown: labels.map(() => 0),
    sequences: labels.map(() => 0),
    words: labels.map((label, index) => (label.startsWith("[") ? null : index)),
    wordTexts: labels,
  };
}

/** A record of weights as nested lists: layers, heads, queries, keys. */
export function recordOf(weights, labels, { layers = null, queries = labels, methods = {} } = {}) {
  const keys = sequence(labels);
  const own = queries === labels ? keys : sequence(queries);
  return {
    layers: layers ?? weights.map((_, row) => row),
    numLayers: weights.length,
    numHeads: weights[0].length,
    queryLen: weights[0][0].length,
    keyLen: weights[0][0][0].length,
    queries: own,
    keys,
    methods,
    kept: null,
    side: (name) => (name === "query" ? own : keys),
    weight: (row, head, query, key) => weights[row][head][query][key],
    forEachWeight(row, head, query, visit) {
      weights[row][head][query].forEach((weight, key) => {
        visit(key, weight);
      });
    },
    remainder: () => 0,
    holds: () => true,
    // Of a method: one map for all heads together.
    partHeads: () => 1,
    component: () => 0.5,
  };
}

/** What a script that is loaded, and does not draw, asks of a browser. */
export function standIn() {
  const node = () => ({ setAttribute() {}, append() {}, style: {}, dataset: {} });
  globalThis.window = { matchMedia: () => ({ matches: false, addEventListener() {} }) };
  globalThis.document = { createElement: node, documentElement: node() };
}

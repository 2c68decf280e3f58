// The numbers of the flow view: paths against a slow loop, rows that sum to 1, parts of heads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FlowGraph, headParts } from "../../introspect/page/assets/flow-graph.js";
import { rowsOf } from "../../introspect/page/assets/flow-rows.js";

const [LAYERS, SIZE] = [3, 4];

/** Shares with rows that sum to what they should, nearly: codes are a little off. */
function sharesOf(seed, missing = -1) {
  let state = seed;
  const random = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  const values = [];
  for (let line = 0; line < LAYERS * SIZE; line += 1) {
    const row = Array.from({ length: SIZE }, () => random() ** 3);
    const sum = row.reduce((total, value) => total + value, 0);
    for (const value of row) {
      values.push(line === missing ? Number.NaN : Math.round((65534 * value) / sum) / 65534);
    }
  }
  return { shape: [LAYERS, SIZE, SIZE], at: (place) => values[place] };
}

const NONE = { at: () => 1 };

test("the shares of every node sum to 1", () => {
  for (let seed = 1; seed < 20; seed += 1) {
    const { shares } = new FlowGraph(sharesOf(seed), NONE);
    for (let line = 0; line < LAYERS * SIZE; line += 1) {
      const sum = shares.slice(line * SIZE, (line + 1) * SIZE).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-6);
    }
  }
});

test("edges above a threshold are those that a walk from the word meets", () => {
  for (let seed = 1; seed < 40; seed += 1) {
    const graph = new FlowGraph(sharesOf(seed), NONE);
    for (const word of [[1], [0, 2]]) {
      const edges = graph.into(word, 0.001);
      for (const threshold of [0.002, 0.03, 0.15]) {
        const found = edges.all.slice(0, edges.countFrom(threshold)).map(nameOf).sort();
        assert.deepEqual(found, walked(graph, word, threshold));
      }
      for (let column = 0; column <= LAYERS; column += 1) {
        const sum = edges.amounts[column].reduce((a, b) => a + b, 0);
        assert.ok(Math.abs(sum - 1) < 1e-9);
      }
    }
  }
});

function nameOf({ row, query, key }) {
  return `${row}/${query}/${key}`;
}

function walked(graph, word, threshold) {
  let amounts = Array.from({ length: SIZE }, (_, token) =>
    word.includes(token) ? 1 / word.length : 0,
  );
  let reached = new Set(word);
  const found = [];
  for (let row = LAYERS - 1; row >= 0; row -= 1) {
    const [next, met] = [new Array(SIZE).fill(0), new Set()];
    for (let query = 0; query < SIZE; query += 1) {
      for (let key = 0; key < SIZE; key += 1) {
        const carried = amounts[query] * graph.share(row, query, key);
        next[key] += carried;
        if (!reached.has(query) || carried < threshold) continue;
        found.push(nameOf({ row, query, key }));
        met.add(key);
      }
    }
    [amounts, reached] = [next, met];
  }
  return found.sort();
}

test("what reaches a missing row goes no further, and the row is known", () => {
  const graph = new FlowGraph(sharesOf(3, SIZE + 2), NONE);
  assert.ok(graph.isMissing(1, 2) && !graph.isMissing(1, 1));
  const edges = graph.into([0], 0.001);
  assert.ok(edges.all.every(({ row, query }) => row !== 1 || query !== 2));
  const sum = edges.amounts[1].reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(sum - (1 - edges.amounts[2][2])) < 1e-9);
});

test("the parts of heads sum to 1, the largest first; of nothing there are none", () => {
  const weights = [0.1, 0.3, 0, 0.1];
  const pattern = { weight: (_row, head) => weights[head] };
  const parts = headParts(pattern, 4, { row: 0, query: 0, key: 0 });
  assert.deepEqual(
    parts.map(({ head }) => head),
    [1, 0, 3, 2],
  );
  assert.ok(Math.abs(parts[0].part - 0.6) < 1e-9);
  assert.deepEqual(headParts({ weight: () => Number.NaN }, 2, {}), []);
});

test("a long text is folded between the tokens that are touched", () => {
  const { lines, middles } = rowsOf(100, new Set([10, 50]), false);
  assert.deepEqual(
    lines.map(({ tokens }) => tokens.length),
    [10, 1, 39, 1, 49],
  );
  assert.equal(middles[0], middles[9]);
  assert.ok(middles[10] > middles[9] && middles[11] > middles[10]);
  assert.equal(rowsOf(30, new Set([1]), false).lines.length, 30);
});

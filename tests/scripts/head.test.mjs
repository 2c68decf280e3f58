// The head view: which weights it shows, and what an address may change.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadState } from "../../introspect/page/assets/head-state.js";
import { recordOf } from "./records.mjs";

const LABELS = ["[CLS]", "Ann", "slept"];
const WEIGHTS = [
  [
    [
      [0.5, 0.3, 0.2],
      [0.2, 0.6, 0.2],
      [0.2, 0.2, 0.6],
    ],
    [
      [0.1, 0.1, 0.8],
      [0.4, 0.4, 0.2],
      [0.6, 0.2, 0.2],
    ],
  ],
  [
    [
      [0.4, 0.4, 0.2],
      [0.9, 0.1, 0.0],
      [0.0, 0.5, 0.5],
    ],
    [
      [0.2, 0.2, 0.6],
      [0.1, 0.2, 0.7],
      [0.4, 0.1, 0.5],
    ],
  ],
];

function stateOf(options = {}, record = recordOf(WEIGHTS, LABELS)) {
  return new HeadState(record, {
    layer: 0,
    heads: [0, 1],
    pins: [],
    threshold: 0.02,
    granularity: "token",
    weights: "raw",
    combine: "separate",
    layout: "vertical",
    ...options,
  });
}

function row(state, query) {
  return LABELS.map((_, key) => Math.round(1e6 * state.together(query, key)) / 1e6);
}

const COMBINED = [
  ["separate", [0.3, 0.5, 0.2]],
  ["mean", [0.3, 0.5, 0.2]],
  ["max", [0.4, 0.6, 0.2]],
  ["mean-layers", [0.4, 0.325, 0.275]],
  ["max-layers", [0.9, 0.6, 0.7]],
];
for (const [combine, expected] of COMBINED) {
  test(`heads and layers are put together by ${combine}`, () => {
    assert.deepEqual(row(stateOf({ combine }), 1), expected);
  });
}

test("without specials and itself what is left of a row sums to 1", () => {
  const state = stateOf({ weights: "renormalized", heads: [0] });
  assert.deepEqual(row(state, 1), [0, 0, 1]);
  assert.deepEqual(row(state, 0), [0, 0.6, 0.4]);
  assert.equal(state.pattern.shares(0, 0, 2).removed, 0.8);
  const nothing = recordOf(
    [
      [
        [
          [1, 0],
          [0, 1],
        ],
      ],
    ],
    ["[CLS]", "a"],
  );
  assert.ok(Number.isNaN(stateOf({ weights: "renormalized", heads: [0] }, nothing).together(0, 1)));
});

test("by word a weight is the sum over the key's pieces and the mean over the query's", () => {
  const record = recordOf(WEIGHTS, LABELS);
  record.queries.words = [null, 0, 0];
  record.queries.wordTexts = ["Annslept"];
  const state = stateOf({ granularity: "word", heads: [0] }, record);
  assert.deepEqual(state.pattern.queries.labels, ["[CLS]", "Annslept"]);
  const shown = [0, 1].map((query) =>
    [0, 1].map((key) => Math.round(1e6 * state.together(query, key)) / 1e6),
  );
  assert.deepEqual(shown, [
    [0.5, 0.5],
    [0.2, 0.8],
  ]);
});

test("a missing weight stays missing in every combination", () => {
  const weights = structuredClone(WEIGHTS);
  weights[0][1][1][2] = Number.NaN;
  for (const [combine] of COMBINED) {
    const state = stateOf({ combine }, recordOf(weights, LABELS));
    assert.ok(Number.isNaN(state.together(1, 2)), combine);
    assert.ok(!Number.isNaN(state.together(1, 1)), combine);
  }
});

const UNFIT = [
  { layer: "99", pins: "q99,zz" },
  { layer: "x", threshold: "2", layout: "across" },
  { weights: "norm", combine: "sum", filter: "2-0", granularity: "letter" },
];
for (const link of UNFIT) {
  test(`an address that does not fit is left aside: ${JSON.stringify(link)}`, () => {
    const state = stateOf({ heads: [0] });
    state.fromLink(link);
    assert.ok(Object.values(state.toLink()).every((value) => value === null));
    assert.deepEqual([state.layer, state.heads, state.pins], [0, [0], []]);
  });
}

test("what a state says in an address opens the same state", () => {
  const state = stateOf();
  Object.assign(state, {
    layer: 1,
    heads: [1],
    pins: [
      { side: "query", index: 2 },
      { side: "key", index: 0 },
    ],
    threshold: 0.4,
    weights: "renormalized",
    combine: "max-layers",
    filter: "0-0",
    layout: "horizontal",
    granularity: "word",
  });
  const link = state.toLink();
  assert.equal(link.pins, "q2,k0");
  const again = stateOf();
  again.fromLink(link);
  assert.deepEqual(again.toLink(), link);
});

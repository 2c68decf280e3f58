// The layer view: which numbers it shows, what it says of them, and what an address may change.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LayerNumbers, largestPlace } from "../../introspect/page/assets/layer-numbers.js";
import { LayerState } from "../../introspect/page/assets/layer-state.js";
import { LayerWords } from "../../introspect/page/assets/layer-words.js";
import { recordOf } from "./records.mjs";

const LABELS = ["[CLS]", "Ann", "slept"];
// Two layers, two heads.
const WEIGHTS = [
  [
    [
      [0.5, 0.3, 0.2],
      [0.1, 0.6, 0.3],
      [0.2, 0.2, 0.6],
    ],
    [
      [0.1, 0.1, 0.8],
      [0.3, 0.4, 0.3],
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
const ROLLOUT = { label: "rollout", byHead: false, bounded: true, through: true };

function styleOf(options = {}) {
  return {
    side: "query",
    tokens: { query: 1, key: 1 },
    weights: "raw",
    combine: "mean",
    head: 0,
    isSelf: true,
    note: "Up to a layer.",
    missing: "",
    ...options,
  };
}

function viewOf(options = {}, { weights = WEIGHTS, methods = {}, link = {} } = {}) {
  const record = recordOf(weights, LABELS, { methods });
  const state = new LayerState(styleOf(options), record);
  state.fromLink(link);
  const numbers = new LayerNumbers(state, record);
  const words = new LayerWords(state, numbers);
  const values = record.layers.map((_, row) => numbers.line(row));
  words.take(
    values,
    values.map((line) => largestPlace(line, state.shown)),
  );
  return { state, numbers, words, values };
}

function assertNear(found, expected) {
  assert.equal(found.length, expected.length);
  for (const [row, line] of expected.entries()) {
    assert.equal(found[row].length, line.length);
    for (const [place, value] of line.entries()) {
      assert.ok(Math.abs(found[row][place] - value) < 1e-12, `${found[row]} for ${line}`);
    }
  }
}

const WAYS = [
  [
    { combine: "mean" },
    [
      [0.2, 0.5, 0.3],
      [0.5, 0.15, 0.35],
    ],
  ],
  [
    { combine: "max" },
    [
      [0.3, 0.6, 0.3],
      [0.9, 0.2, 0.7],
    ],
  ],
  [
    { combine: "one", head: 1 },
    [
      [0.3, 0.4, 0.3],
      [0.1, 0.2, 0.7],
    ],
  ],
  [
    { side: "key", combine: "mean" },
    [
      [0.2, 0.5, 0.2],
      [0.3, 0.15, 0.3],
    ],
  ],
  [
    { side: "key", combine: "max" },
    [
      [0.3, 0.6, 0.2],
      [0.4, 0.2, 0.5],
    ],
  ],
  [
    { side: "key", combine: "one", head: 1 },
    [
      [0.1, 0.4, 0.2],
      [0.2, 0.2, 0.1],
    ],
  ],
];
for (const [options, expected] of WAYS) {
  test(`the numbers of ${JSON.stringify(options)} are the row or column worked by hand`, () => {
    assertNear(viewOf(options).values, expected);
  });
}

test("the largest place passes over what is missing", () => {
  assert.equal(largestPlace([0.1, Number.NaN, 0.3, 0.2], [0, 1, 2, 3]), 2);
  assert.equal(largestPlace([0.1, Number.NaN, 0.3, 0.2], [0, 1, 3]), 3);
  assert.equal(largestPlace([Number.NaN], [0]), -1);
});

test("the sentence names the largest weight of all layers, from the token or to it", () => {
  assert.equal(
    viewOf().words.sentence(null),
    "“Ann” attends most to “Ann” in layer 0 (0.50 on average over 2 heads).",
  );
  assert.equal(
    viewOf({ combine: "max" }).words.sentence(null),
    "“Ann” attends most to “[CLS]” in layer 1 (0.90 at most over 2 heads).",
  );
  assert.equal(
    viewOf({ side: "key", combine: "one", head: 1 }).words.sentence(null),
    "“Ann” is attended to most by “Ann” in layer 0 (0.40 in head 1).",
  );
});

test("a cell and a token are said in words", () => {
  const { words } = viewOf({ combine: "one", head: 1 });
  assert.equal(words.sentence([2, 1]), "“Ann” → “slept”, layer 1: 0.70 (in head 1).");
  assert.equal(words.sentence([2, null]), "“Ann” → “slept”, most in layer 1: 0.70 (in head 1).");
});

test("weights that are missing are said to be", () => {
  const nothing = WEIGHTS.map((layer) =>
    layer.map((head) => head.map((row) => row.map(() => NaN))),
  );
  const { words } = viewOf({}, { weights: nothing });
  assert.equal(words.sentence(null), "Every weight of “Ann” is missing.");
  assert.equal(words.sentence([2, null]), "“Ann” → “slept”: missing in every layer.");
  assert.ok(words.notes(true).includes("Hatched cells are missing."));
});

test("special tokens that are left out have their share, of the largest that of one head", () => {
  const link = { special: "hidden" };
  const { state, numbers, words, values } = viewOf({}, { link });
  assert.deepEqual(state.shown, [1, 2]);
  assert.equal(numbers.share(1, state.leftOut, values[1]), 0.5);
  assert.ok(words.notes(true).some((note) => note.startsWith("Left out: 1 special token;")));
  const most = viewOf({ combine: "max" }, { link });
  assert.equal(most.numbers.share(0, [0, 1], most.values[0]), 0.7);
  assert.ok(most.words.notes(true).some((note) => note.endsWith("in the head with most.")));
});

test("a head of every layer is not taken for one head", () => {
  const note = "H1 is a different head in each layer.";
  assert.ok(viewOf({ combine: "one", head: 1 }).words.notes(true).includes(note));
  assert.ok(!viewOf({ combine: "mean", head: 1 }).words.notes(true).includes(note));
});

const UNFIT = [
  { token: "99", head: "-1" },
  { weights: "x", side: "up" },
  { token: "1.5", head: "one", combine: "sum", scale: "two", special: "shown" },
];
for (const link of UNFIT) {
  test(`an address that does not fit is left aside: ${JSON.stringify(link)}`, () => {
    const { state } = viewOf({}, { link });
    assert.deepEqual(
      Object.fromEntries(Object.keys(state.first).map((name) => [name, state[name]])),
      state.first,
    );
    assert.ok(Object.values(state.toLink()).every((value) => value === null));
  });
}

test("what a state says in an address opens the same state", () => {
  const methods = { rollout: ROLLOUT };
  const { state } = viewOf({}, { methods });
  state.set({ token: 0, combine: "one", head: 1, side: "key", scale: "largest", special: false });
  state.set({ weights: "rollout" });
  const link = Object.fromEntries(
    Object.entries(state.toLink())
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, String(value)]),
  );
  assert.deepEqual(Object.keys(link).length, 7);
  const again = viewOf({}, { methods, link }).state;
  for (const name of Object.keys(state.first)) assert.equal(again[name], state[name], name);
});

test("of two texts the chosen token is that of the side, and one text keeps its token", () => {
  const two = viewOf({ isSelf: false, tokens: { query: 1, key: 2 } }).state;
  assert.equal(two.set({ side: "key" }), true);
  assert.equal(two.token, 2);
  const one = viewOf({ tokens: { query: 1, key: 2 } }).state;
  assert.equal(one.set({ side: "key" }), true);
  assert.equal(one.token, 1);
  assert.equal(one.set({ side: "key" }), false);
});

// The compare view: what it says of two records, and what an address may change.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CompareState } from "../../introspect/page/assets/compare-state.js";
import { CompareWords } from "../../introspect/page/assets/compare-words.js";
import { recordOf } from "./records.mjs";

const TIRED = ["[CLS]", "Ann", "was", "too", "tired"];
const WIDE = ["[CLS]", "Ann", "was", "too", "wide"];
const LONGER = ["[CLS]", "Ann", "was", "not", "too", "tired"];
const SAME = [0, 1, 2, 3, 4].map((place) => [place, place]);
const EVEN = (length) => Array.from({ length }, () => Array(length).fill(1 / length));

/** A record of one layer and two heads, alike but for the row of "was". */
function oneOf(labels, row) {
  const pattern = EVEN(labels.length);
  pattern[2] = row ?? pattern[2];
  return recordOf([[pattern, pattern]], labels);
}

function stateOf(a, b, options = {}) {
  const style = {
    labels: ["A", "B"],
    changes: [[0, 0]],
    queries: SAME,
    keys: null,
    layers: [0, 0],
    heads: [0, 0],
    token: 2,
    ...options,
  };
  return new CompareState(style, [a, b]);
}

test("a token says its changes, the largest first", () => {
  const words = new CompareWords(
    stateOf(oneOf(TIRED, [0.1, 0.68, 0.01, 0.11, 0.1]), oneOf(WIDE, [0.1, 0.28, 0.12, 0.1, 0.4])),
  );
  assert.equal(
    words.sentence([null, null]),
    "With “wide”, “was” gives “Ann” 0.28 instead of 0.68, “wide” 0.40 instead of “tired” 0.10 " +
      "and “was” 0.12 instead of 0.01 (L0H0).",
  );
  assert.equal(words.sentence([2, 1]), "“was” → “Ann”: A 0.68, B 0.28, difference −0.40 (L0H0).");
  assert.equal(
    words.sentence([null, 1]),
    "In B, “Ann” gets 0.28 instead of 0.68 from “was” (L0H0).",
  );
  assert.match(words.sentence([4, null]), /^“wide” in place of “tired” gives each token the same/);
});

test("a difference is that of the numbers that are written beside it", () => {
  const words = new CompareWords(
    stateOf(
      oneOf(TIRED, [0.074, 0.626, 0.1, 0.1, 0.1]),
      oneOf(WIDE, [0.686, 0.014, 0.1, 0.1, 0.1]),
    ),
  );
  assert.match(words.sentence([2, 0]), /A 0.07, B 0.69, difference \+0.62/);
  assert.match(words.sentence([2, 1]), /A 0.63, B 0.01, difference −0.62/);
});

test("a token that only one has says so, and has no difference", () => {
  const queries = [
    [0, 0],
    [1, 1],
    [2, 2],
    [null, 3],
    [3, 4],
    [4, 5],
  ];
  const state = stateOf(oneOf(TIRED), oneOf(LONGER, [0, 0.1, 0.2, 0.5, 0.1, 0.1]), { queries });
  const words = new CompareWords(state);
  assert.match(
    words.sentence([3, null]),
    /^“not” is only in B: there is no row to compare\. It gives most to /,
  );
  assert.equal(words.sentence([null, 3]), "“not” is only in B.");
  assert.equal(
    words.sentence([2, 3]),
    "“was” → “not”: A –, B 0.50, difference no difference to state (L0H0).",
  );
  assert.ok(words.sentence([2, null]).includes("; “not”, only in B, gets 0.50"));
  assert.equal(state.tokenName(3), "b3");
  assert.equal(state.queries.note(3, 1, ["plain", "long"]), "only in long");
});

test("weights that are missing are called missing", () => {
  const row = Array(5).fill(Number.NaN);
  const words = new CompareWords(stateOf(oneOf(TIRED), oneOf(WIDE, row)));
  assert.equal(words.sentence([2, null]), "With “wide”, “was” gives: missing (L0H0).");
});

const UNFIT = [
  { layer: "9" },
  { head: "-1" },
  { head: "1.5" },
  { token: "a99" },
  { rows: "3-99" },
  { rows: "3-2" },
  { scale: "x" },
];
for (const link of UNFIT) {
  test(`an address that does not fit changes nothing: ${JSON.stringify(link)}`, () => {
    const state = stateOf(oneOf(TIRED), oneOf(WIDE));
    state.fromLink(link);
    assert.deepEqual(
      [state.rows, state.heads, state.token, state.scale, state.block],
      [[0, 0], [0, 0], 2, "one", null],
    );
  });
}

test("an address that fits opens what it says, for both or for each", () => {
  const link = { head: "1", token: "a3", rows: "1-3", scale: "largest" };
  const state = stateOf(oneOf(TIRED), oneOf(WIDE));
  state.fromLink(link);
  assert.deepEqual([state.heads, state.token, state.scale], [[1, 1], 3, "largest"]);
  assert.deepEqual(state.block, { query: [1, 3], key: [0, 4] });
  const said = Object.entries(state.toLink()).filter(([, value]) => value !== null);
  assert.deepEqual(Object.fromEntries(said), { ...link, head: 1 });
  const two = stateOf(oneOf(TIRED), oneOf(WIDE), { changes: null });
  two.fromLink({ "head-b": "1" });
  assert.deepEqual(two.heads, [0, 1]);
  assert.equal(two.headWords(), "A L0H0, B L0H1");
});

test("a step stays within the heads and layers there are", () => {
  const state = stateOf(oneOf(TIRED), oneOf(WIDE));
  for (const [down, right, heads] of [
    [0, 1, [1, 1]],
    [0, 1, [1, 1]],
    [1, 0, [1, 1]],
    [0, -9, [0, 0]],
  ]) {
    state.step(0, down, right);
    assert.deepEqual([state.rows, state.heads], [[0, 0], heads]);
  }
});

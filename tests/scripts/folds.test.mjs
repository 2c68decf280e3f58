// The rows of a long text in the head view: which tokens have one, and what folds.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  foldedRows,
  tokensOfLines,
  tokensWithWeight,
} from "../../introspect/page/assets/head-folds.js";
import { HeadState } from "../../introspect/page/assets/head-state.js";
import { RenormalizedPattern, WordPattern } from "../../introspect/page/assets/patterns.js";
import { recordOf } from "./records.mjs";

const TEN = Array.from({ length: 10 }, (_, index) => index);

/** A row as a person would write it: 3, or 4–9; [2–3] for what was opened. */
function written(rows) {
  return rows.map(({ token, folded, opened }) => {
    if (token !== undefined) return String(token);
    const tokens = folded ?? opened;
    const ends = `${tokens[0]}–${tokens.at(-1)}`;
    return folded ? ends : `[${ends}]`;
  });
}

test("what is kept has a row, and the others fold between", () => {
  assert.deepEqual(written(foldedRows(TEN, [3], [], [], 1)), ["0–2", "3", "4–9"]);
  assert.deepEqual(written(foldedRows(TEN, [], [], [], 5)), ["0–9"]);
});

test("a token alone between two rows does not fold: its fold would be as high", () => {
  assert.deepEqual(written(foldedRows(TEN, [3, 5], [], [], 1)), ["0–2", "3", "4", "5", "6–9"]);
});

test("what is wanted has a row as long as there is room", () => {
  const rows = foldedRows(TEN, [], [5, 0, 9, 4, 2], [], 6);
  assert.deepEqual(written(rows), ["0", "1–4", "5", "6–8", "9"]);
  assert.ok(foldedRows(TEN, [], TEN, [], 7).length <= 7);
});

test("what was opened has rows, and says that it can fold again", () => {
  const rows = foldedRows(TEN, [1], [], [[3, 4, 5]], 2);
  assert.deepEqual(written(rows), ["0", "1", "2", "[3–5]", "3", "4", "5", "6–9"]);
});

test("tokens that are not there get no row", () => {
  assert.deepEqual(written(foldedRows([2, 4, 6], [0, 4], [9], [], 9)), ["2", "4", "6"]);
});

test("tokens with weight come in its order; missing ones and nothing are left out", () => {
  const weights = [0, 0.2, Number.NaN, 0.5, 0.004];
  const found = tokensWithWeight([0, 1, 2, 3, 4], weights);
  assert.deepEqual(found, [3, 1, 4]);
  const many = Array.from({ length: 20 }, (_, index) => index);
  assert.equal(
    tokensWithWeight(
      many,
      many.map(() => 0.001),
    ).length,
    8,
  );
});

const LABELS = ["[CLS]", "Ann", "slept"];
const WEIGHTS = [
  [
    [
      [0.1, 0.1, 0.8],
      [0.8, 0.1, 0.1],
      [0.1, 0.3, 0.6],
    ],
  ],
];

function stateOf(options = {}) {
  const first = { layer: 0, heads: [0], pins: [], threshold: 0, granularity: "token" };
  const others = { weights: "raw", combine: "separate", layout: "vertical" };
  return new HeadState(recordOf(WEIGHTS, LABELS), { ...first, ...others, ...options });
}

for (const combine of ["separate", "mean"]) {
  test(`the strongest line between words comes first, heads ${combine}`, () => {
    const { query, key } = tokensOfLines(stateOf({ combine }));
    assert.deepEqual([query[0], key[0]], [2, 1]);
    assert.equal(query.length, 3);
  });
}

test("a pattern read line by line is the pattern read by pairs", () => {
  const record = recordOf(WEIGHTS, LABELS);
  const words = new WordPattern(record);
  for (const pattern of [words, new RenormalizedPattern(words, 1, true)]) {
    for (let query = 0; query < 3; query += 1) {
      pattern.forEachWeight(0, 0, query, (key, weight) => {
        assert.equal(weight, pattern.weight(0, 0, query, key));
      });
    }
  }
});

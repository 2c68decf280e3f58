// What an address may say: a thousand hashes, of which only a view's own choices are taken.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  below,
  fitting,
  headNamed,
  oneOf,
  range,
  rowOfLayer,
  several,
  valuesIn,
  within,
} from "../../introspect/page/assets/address.js";
import { CompareState } from "../../introspect/page/assets/compare-state.js";
import { HeadState } from "../../introspect/page/assets/head-state.js";
import { LayerState } from "../../introspect/page/assets/layer-state.js";
import { recordOf } from "./records.mjs";

const HASHES = 1000;
const LABELS = ["[CLS]", "Ann", "slept"];
const ROW = [0.5, 0.3, 0.2];
const RECORD = recordOf(
  [4, 9].map(() => [0, 1, 2].map(() => [ROW, ROW, ROW])),
  LABELS,
  { layers: [4, 9] },
);
// Numbers that are near a choice and none, and names that every object of a script has.
const HOSTILE = [
  ..."-1 -0 +1 1.5 0.0 00 01 1e0 1E1 0x1 0b1 1_000 NaN Infinity -Infinity 99 3 9007199254740993".split(
    " ",
  ),
  ..."constructor __proto__ prototype toString valueOf hasOwnProperty length null undefined".split(
    " ",
  ),
  ...["", " ", " 1", "1 ", "1,1", "0,constructor", "0,", ",0", "q-1", "k99", "q1.5", "a99", "b0"],
  ...[
    "2-1",
    "0-99",
    "-1-2",
    "1-",
    "1-1-1",
    "0-constructor",
    "L4",
    "L4H9",
    "L99H0",
    "L-4H0",
    "L04H1",
  ],
  ...["\u0661", "\uff11", "9".repeat(400), "1".repeat(100_000), "<b>", "%", "%zz", "\ud800", "𝟏"],
];

/** The same numbers on every machine: mulberry32. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const VIEWS = {
  head: {
    names: "layer heads pins threshold granularity weights combine filter layout attention",
    state: () =>
      new HeadState(RECORD, {
        layer: 4,
        heads: [0, 2],
        pins: [],
        threshold: 0.1,
        granularity: "token",
        weights: "raw",
        combine: "separate",
        layout: "vertical",
      }),
  },
  layer: {
    names: "side token weights combine head scale special",
    state: () =>
      new LayerState(
        {
          side: "query",
          tokens: { query: 1, key: 1 },
          weights: "raw",
          combine: "mean",
          head: 0,
          isSelf: true,
        },
        RECORD,
      ),
  },
  compare: {
    names: "layer head layer-b head-b token scale rows columns",
    state: () => {
      const queries = LABELS.map((_, index) => [index, index]);
      const labels = ["A", "B"];
      const style = { labels, changes: null, queries, layers: [4, 4], heads: [0, 1], token: 1 };
      return new CompareState(style, [RECORD, RECORD]);
    },
  },
};

for (const [kind, { names, state }] of Object.entries(VIEWS)) {
  test(`no hash of a thousand makes a ${kind} view show what it does not have`, () => {
    const next = random(kind.length);
    const pick = (list) => list[Math.floor(next() * list.length)];
    const untouched = JSON.stringify(state().toLink());
    let hostile = 0;
    for (let number = 0; number < HASHES; number += 1) {
      const pairs = [pick(names.split(" ")), pick([...names.split(" "), ...HOSTILE])].map(
        (name) => `v.${name}=${encoded(pick(HOSTILE))}`,
      );
      const opened = state();
      opened.fromLink(valuesIn(`#${pairs.join("&")}`, "v"));
      // A word such as "99" or "3" is a choice of some views' names and not of others'.
      const link = opened.toLink();
      if (JSON.stringify(link) === untouched) hostile += 1;
      const again = state();
      again.fromLink(Object.fromEntries(Object.entries(link).map(([n, v]) => [n, v && String(v)])));
      assert.deepEqual(again.toLink(), link, pairs.join("&"));
    }
    assert.ok(hostile > 0.98 * HASHES, `${hostile} left the view as it was`);
  });
}

/** A value as an address has it; what is no text as it is. */
function encoded(value) {
  try {
    return encodeURIComponent(value);
  } catch {
    return value;
  }
}

const READERS = {
  below: [below(3), { 0: 0, 1: 1, 2: 2 }],
  within: [within(0, 1), { 0: 0, 1: 1, 0.25: 0.25 }],
  oneOf: [oneOf(["query", "key"]), { query: "query" }],
  rowOfLayer: [rowOfLayer([4, 9]), { 4: 0, 9: 1 }],
  several: [several(below(3)), { "0,2": [0, 2], none: [] }],
  range: [range(5), { "0-5": [0, 5], "3-3": [3, 3] }],
  headNamed: [headNamed([4, 9], 3), { L4H2: [0, 2] }],
};
// What is among them by chance a choice of a reader.
const FITS = { within: ["0.0"], several: [], range: [] };
for (const [name, [read, fits]] of Object.entries(READERS)) {
  test(`${name} takes what it names and nothing hostile`, () => {
    for (const [text, value] of Object.entries(fits)) assert.deepEqual(read(text), value, text);
    for (const text of HOSTILE) {
      if (!(FITS[name] ?? []).includes(text)) assert.equal(read(text), null, text.slice(0, 20));
    }
  });
}

test("names that every object has are no choices of a view", () => {
  const hash = "#v.__proto__=1&v.constructor=1&v.toString=1&w.head=2&v.head=1&anchor";
  const link = valuesIn(hash, "v");
  assert.deepEqual(Object.keys(link).sort(), ["__proto__", "constructor", "head", "toString"]);
  assert.deepEqual(fitting(link, { head: below(3), layer: below(3) }), { head: 1 });
  assert.deepEqual(fitting(valuesIn("#", "v"), { constructor: below(3) }), {});
  assert.deepEqual({ ...valuesIn("#view-1-head", "view-1-head") }, {});
  assert.equal({}.polluted, undefined);
});

// What every view has in common: numbers and names in words, parts of a matrix, words of an address.
import assert from "node:assert/strict";
import { test } from "node:test";
import { headNamed } from "../../introspect/page/assets/address.js";
import { between, blockFrom, blockToLink, blockWords } from "../../introspect/page/assets/block.js";
import { escaped, figure, quoted, shortened } from "../../introspect/page/assets/dom.js";
import {
  headFrom,
  headWords,
  nextHead,
  rowOf,
  weightOf,
} from "../../introspect/page/assets/heads.js";
import { readLink } from "../../introspect/page/assets/link.js";
import { signed } from "../../introspect/page/assets/numbers.js";
import { recordOf } from "./records.mjs";

test("a number has two decimals and a sign that is no hyphen; nothing has no sign", () => {
  const said = [
    [0.684, "0.68", "+0.68"],
    [-0.4, "−0.40", "−0.40"],
    [-0.001, "0.00", "0.00"],
    [0, "0.00", "0.00"],
  ];
  for (const [value, plain, change] of said) {
    assert.deepEqual([figure(value), signed(value)], [plain, change]);
  }
  assert.equal(figure(Number.NaN), "missing");
});

test("a label is shortened by characters, not by halves of them", () => {
  assert.equal(shortened("abc", 3), "abc");
  assert.equal(shortened("abcd", 3), "ab…");
  assert.equal(shortened("😀😀😀😀", 3), "😀😀…");
  assert.equal(shortened("👍🏽👍🏽👍🏽", 4), "👍🏽…");
  assert.equal(shortened("हिन्दी में", 5), "हि…");
  assert.equal(shortened("cafe\u0301s", 5), "caf…");
  // The quotation marks are the sentence's own, and do not turn with the word.
  assert.equal(quoted("كان"), "“\u2068كان\u2069”");
  assert.equal(quoted("x".repeat(30)), `“${"x".repeat(23)}…”`);
  assert.equal(escaped("<b>&"), "&lt;b&gt;&amp;");
});

test("a part of a matrix goes into the address and comes back", () => {
  const whole = { query: [0, 9], key: [0, 4] };
  const block = between([7, 1], [3, 1]);
  assert.deepEqual(block, { query: [3, 7], key: [1, 1] });
  assert.equal(blockWords(block, whole), "rows 3–7 of 10, columns 1–1 of 5");
  const long = { query: [0, 2047], key: [0, 4] };
  assert.equal(blockWords({ ...long, query: [0, 1023] }, long), "rows 0–1,023 of 2,048");
  assert.deepEqual(blockFrom(blockToLink(block, whole), whole), block);
  assert.deepEqual(blockToLink(whole, whole), { rows: null, columns: null });
  for (const rows of ["3-99", "7-3", "a-b", "-1-3", ""]) {
    assert.equal(blockFrom({ rows }, whole), null, rows);
  }
});

test("a head of the address is one that there is", () => {
  const read = headNamed([4, 9], 3);
  assert.deepEqual(read("L9H2"), [1, 2]);
  for (const name of ["L1H0", "L9H3", "L9", "9H2", "L09H2", "L9H2 ", ""]) {
    assert.equal(read(name), null, name);
  }
});

test("a layer's heads are seen alone, as their mean or as their largest", () => {
  const record = recordOf([[[[0.2, 0.8]], [[0.6, 0.4]]]], ["a", "b"], {
    layers: [4],
    queries: ["q"],
  });
  for (const [head, expected, words] of [
    [1, [0.6, 0.4], "L4H1"],
    ["mean", [0.4, 0.6], "mean of 2 heads of layer 4"],
    ["max", [0.6, 0.8], "largest of 2 heads of layer 4"],
  ]) {
    assert.deepEqual(
      Array.from(rowOf(record, 0, head, 0), (value) => Math.round(100 * value) / 100),
      expected,
    );
    for (const [key, value] of expected.entries()) {
      assert.ok(Math.abs(weightOf(record, 0, head, 0, key) - value) < 1e-12);
    }
    assert.equal(headWords(record, 0, head), words);
  }
  assert.deepEqual(["mean", "1", "2", "-1", "1.5", ""].map(headFrom(record)), [
    "mean",
    1,
    null,
    null,
    null,
    null,
  ]);
  assert.deepEqual(
    [
      nextHead(record, 1, 1),
      nextHead(record, 0, -1),
      nextHead(record, "mean", 1),
      nextHead(record, "max", -1),
    ],
    [1, 0, 0, 1],
  );
});

test("an address is read by its owner, and what is no value is nothing", () => {
  const read = (hash, owner) => {
    globalThis.location = { hash };
    return readLink(owner);
  };
  const address = "#view-1-head.layer=3&view-1-head.pins=q1,k2&view-2-head.layer=9&page.theme=dark";
  assert.deepEqual({ ...read(address, "view-1-head") }, { layer: "3", pins: "q1,k2" });
  assert.deepEqual({ ...read(address, "page") }, { theme: "dark" });
  for (const hash of ["", "#nowhere", "#a=%", "#x=", "#view-1-headless.layer=3"]) {
    assert.deepEqual({ ...read(hash, "view-1-head") }, {}, hash);
  }
});

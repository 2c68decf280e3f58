// The index of an atlas: columns become heads, axes end at round numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { atlasHeads, pageOf, strengthOf, written } from "../../introspect/page/assets/atlas.js";
import { roundEnd, ticksTo } from "../../introspect/page/assets/atlas-scatter.js";
import { strongest } from "../../introspect/page/assets/query-key-map.js";

const STYLE = {
  layers: [2, 5],
  numHeads: 2,
  columns: { coverage: [0.5, null, 1, 0.25], entropy: [1, 2, 3, 4] },
  axes: [
    ["coverage", "share covered"],
    ["entropy", "entropy in bits"],
  ],
  shares: ["coverage"],
};

test("columns become heads in the order of layers", () => {
  const heads = atlasHeads(STYLE);
  assert.deepEqual(
    heads.map(({ name, row, head }) => [name, row, head]),
    [
      ["L2H0", 0, 0],
      ["L2H1", 0, 1],
      ["L5H0", 1, 0],
      ["L5H1", 1, 1],
    ],
  );
  assert.equal(heads[2].entropy, 3);
  assert.equal(pageOf("L2H0"), "heads/L2H0.html");
});

test("a share is as strong as it is, another number beside the largest", () => {
  const heads = atlasHeads(STYLE);
  assert.equal(strengthOf(heads, STYLE, "coverage")(heads[0]), 0.5);
  assert.equal(strengthOf(heads, STYLE, "entropy")(heads[1]), 0.5);
  assert.ok(Number.isNaN(strengthOf(heads, STYLE, "coverage")(heads[1])));
  assert.equal(written(heads[0], STYLE, "coverage"), "share covered: 50%");
  assert.equal(written(heads[1], STYLE, "coverage"), "share covered: none");
  assert.equal(written(heads[3], STYLE, "entropy"), "entropy in bits: 4.00");
});

test("axes end at round numbers with round ticks", () => {
  assert.deepEqual([0, 0.03, 1, 4.2, 6.4, 43, 110].map(roundEnd), [1, 0.03, 1, 5, 8, 50, 150]);
  assert.deepEqual(ticksTo(8), [0, 2, 4, 6, 8]);
  assert.deepEqual(ticksTo(150), [0, 50, 100, 150]);
  assert.deepEqual(ticksTo(50), [0, 10, 20, 30, 40, 50]);
  assert.deepEqual(
    ticksTo(0.2).map((at) => at.toFixed(2)),
    ["0.00", "0.05", "0.10", "0.15", "0.20"],
  );
  assert.deepEqual(ticksTo(1), [0, 0.2, 0.4, 0.6, 0.8, 1]);
});

test("the strongest tokens of an end are named once, the strongest first", () => {
  const points = [
    [0, 0, 3],
    [0, 0, -1],
    [0, 0, 5],
    [0, 0, 4],
  ];
  const labels = ["a", "b", "c", "c"];
  assert.deepEqual(strongest(points, labels, 1), ["c", "a"]);
  assert.deepEqual(strongest(points, labels, -1), ["b"]);
});

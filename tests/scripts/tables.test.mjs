// Tables: what a cell is sorted by, and what is copied.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compared, csvCell, sortValue } from "../../introspect/page/assets/tables.js";

test("a cell is sorted by its number, however it is written", () => {
  const cells = [
    ["0.68", 0.68],
    ["−0.20", -0.2],
    ["+0.12", 0.12],
    ["1,024", 1024],
    ["70.0% (95% CI 65.2–74.5)", 70],
    ["< 0.001", 0.001],
    ["1.4·10⁻⁴", 1.4e-4],
    ["L3H1", "L3H1"],
    ["", ""],
  ];
  for (const [text, value] of cells) {
    if (typeof value === "number") assert.ok(Math.abs(sortValue(text) - value) < 1e-12, text);
    else assert.equal(sortValue(text), value);
  }
});

test("numbers are ordered as numbers, and what is missing is last in both orders", () => {
  for (const direction of [1, -1]) {
    const cells = ["", 10, 9, "–", "b", "a"].sort((a, b) => compared(a, b, direction));
    assert.deepEqual(cells.slice(0, 4), direction === 1 ? [9, 10, "a", "b"] : [10, 9, "b", "a"]);
    assert.deepEqual(new Set(cells.slice(4)), new Set(["", "–"]));
  }
});

test("a copied cell has the signs that other programs read", () => {
  assert.equal(csvCell("−0.20"), "-0.20");
  assert.equal(csvCell("1,024"), "1024");
  assert.equal(csvCell("a, b"), '"a, b"');
  assert.equal(csvCell('say "it"'), '"say ""it"""');
});

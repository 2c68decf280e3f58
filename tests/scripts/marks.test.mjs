// The marks of figures that were drawn in Python: their words, their neighbors, their colors.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  factOf,
  linesOf,
  marksOf,
  nearest,
  neighbor,
  recolored,
} from "../../introspect/page/assets/marks.js";

test("colors are replaced wherever they stand, but not in words", () => {
  const partners = { "#ffffff": "#15181c", "rgba(1,2,3,0.5)": "rgba(4,5,6,0.5)" };
  const figure = {
    text: ["#ffffff"],
    hovertext: "#ffffff",
    x: [1, null],
    marker: { color: ["#ffffff", "#000000"], line: { color: "rgba(1,2,3,0.5)" } },
    colorscale: [[0, "#ffffff"]],
    name: "constructor",
    mode: "constructor",
  };
  assert.deepEqual(recolored(figure, partners), {
    text: ["#ffffff"],
    hovertext: "#ffffff",
    x: [1, null],
    marker: { color: ["#15181c", "#000000"], line: { color: "rgba(4,5,6,0.5)" } },
    colorscale: [[0, "#15181c"]],
    name: "constructor",
    mode: "constructor",
  });
});

test("words are lines of plain text, and a fact is divided at its last colon", () => {
  assert.deepEqual(linesOf("a &lt;br&gt; &amp;amp;<br>b"), ["a <br> &amp;", "b"]);
  assert.deepEqual(factOf("1. a: b: 35.0%"), ["1. a: b", "35.0%"]);
  assert.deepEqual(factOf("nothing"), ["nothing", ""]);
});

const MAP = [
  {
    type: "heatmap",
    customdata: [
      ["L0H0", "L0H1"],
      ["L3H0", "L3H1"],
    ],
    hovertext: [
      ["a", "b"],
      ["c", "d"],
    ],
  },
];

test("each cell of a map is a mark, and arrows lead to the next", () => {
  const marks = marksOf(MAP);
  assert.deepEqual(
    marks.map(({ name, words, x, y }) => [name, words, x, y]),
    [
      ["L0H0", "a", 0, 0],
      ["L0H1", "b", 1, 0],
      ["L3H0", "c", 0, 1],
      ["L3H1", "d", 1, 1],
    ],
  );
  const to = (key, isReversed) => neighbor(marks, marks[0], key, isReversed)?.name;
  assert.equal(to("ArrowRight", true), "L0H1");
  assert.equal(to("ArrowDown", true), "L3H0");
  assert.equal(to("ArrowUp", false), "L3H0");
  assert.equal(to("ArrowLeft", true), undefined);
  assert.equal(neighbor(marks, marks[0], "Enter", true), null);
});

test("points without a place are no marks, and arrows reach all others in order", () => {
  const points = {
    type: "scatter",
    customdata: ["a", "b", "c", "d"],
    hovertext: ["", "", "", ""],
    x: [0.5, null, 0.9, 0.7],
    y: [2, 1, 0, 3],
  };
  const marks = marksOf([{ type: "scatter", x: [1], y: [1] }, points]);
  assert.deepEqual(
    marks.map(({ name }) => name),
    ["a", "c", "d"],
  );
  const walk = (key) => neighbor(marks, marks[0], key, false)?.name;
  assert.deepEqual(["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"].map(walk), [
    "d",
    undefined,
    "d",
    "c",
  ]);
});

test("the nearest place is found if it is near enough", () => {
  const places = [
    [0, 0],
    [10, 0],
  ];
  assert.equal(nearest(places, [8, 3], 24), 1);
  assert.equal(nearest(places, [100, 0], 24), -1);
  assert.equal(nearest([], [0, 0], 24), -1);
});

// Numbers below words never overlap, and arcs pass between words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathBetween } from "../../introspect/page/assets/arcs.js";
import { linesOf, passageNear, rowsOfNumbers } from "../../introspect/page/assets/word-lines.js";

const box = (left, right, top = 0, bottom = 20) => ({ left, right, top, bottom });
const part = (...rects) => ({ getClientRects: () => rects });

test("numbers stand in the first row that has room, and none over another", () => {
  const numbers = Array.from({ length: 40 }, (_, place) => box(15 * place, 15 * place + 26));
  for (const most of [1, 2, 3]) {
    const rows = rowsOfNumbers(numbers, most);
    for (let row = 0; row < most; row += 1) {
      const own = numbers.filter((_, place) => rows[place] === row);
      own.slice(1).forEach((number, place) => {
        assert.ok(number.left >= own[place].right + 3);
      });
    }
    assert.equal(rows.includes(-1), most < 2);
  }
  assert.deepEqual(rowsOfNumbers([box(0, 26), box(40, 66)], 2), [0, 0]);
});

test("words are put into lines as they stand, and a word that is cut is in two", () => {
  const parts = [
    part(box(40, 90)),
    part(box(0, 30)),
    part(box(95, 120, 2, 18), box(0, 20, 50, 70)),
    part(box(30, 60, 50, 70)),
  ];
  const lines = linesOf(parts, { left: 0, top: 0 });
  const lefts = lines.map(({ boxes }) => boxes.map(({ left }) => left));
  assert.deepEqual(lefts, [
    [0, 40, 95],
    [0, 30],
  ]);
});

test("an arc goes through the nearest space of a line, or around it", () => {
  const line = { boxes: [box(0, 50), box(58, 90), box(92, 130)] };
  assert.equal(passageNear(line, 40), 54);
  assert.equal(passageNear(line, 91), 54);
  assert.equal(passageNear(line, 120), 137);
  assert.equal(passageNear({ ...line, numbers: [box(45, 70)] }, 40), -7);
});

test("from line to line an arc is in no word's box on its way", () => {
  const lines = [0, 60, 120, 180].map((top) => ({
    top,
    bottom: top + 24,
    numbers: [{ left: 10, right: 36, bottom: top + 36 }],
    boxes: Array.from({ length: 8 }, (_, at) => box(60 * at, 60 * at + 50, top, top + 24)),
  }));
  const ends = lines.flatMap(({ boxes }, line) => boxes.map((one) => ({ line, box: one })));
  const places = (path) => {
    const found = [];
    let at = null;
    for (const [, how, text] of path.matchAll(/([MLC])([^MLC]+)/g)) {
      const numbers = text.trim().split(/ /).map(Number);
      for (let step = 0; step <= 20; step += 1) {
        const t = step / 20;
        const next = numbers.slice(-2);
        if (how === "M") found.push(next);
        if (how === "L") found.push([0, 1].map((i) => at[i] + t * (next[i] - at[i])));
        if (how === "C") {
          const [a, b, c] = [numbers.slice(0, 2), numbers.slice(2, 4), next];
          const u = 1 - t;
          const curve = (i) =>
            u ** 3 * at[i] + 3 * u * u * t * a[i] + 3 * u * t * t * b[i] + t ** 3 * c[i];
          found.push([0, 1].map(curve));
        }
      }
      at = numbers.slice(-2);
    }
    return found;
  };
  for (const from of ends) {
    for (const to of ends) {
      if (from.line === to.line) continue;
      const inside = places(pathBetween(lines, from, to)).filter(([x, y]) =>
        ends.some(
          ({ box: { left, right, top, bottom } }) =>
            x > left && x < right && y > top + 1 && y < bottom - 1,
        ),
      );
      assert.deepEqual(inside, []);
    }
  }
});

// The list of all cases: searched, sorted, cut into pieces, copied.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CaseList, piecesOf, verdictOf } from "../../introspect/page/assets/case-list.js";
import { readingOf } from "../../introspect/page/assets/case-text.js";
import { csvOf } from "../../introspect/page/assets/cases.js";

const { NaN: NONE } = Number;
const CAT = "The cat saw the dog because it barked.";
const FOX = "It met a fox, and a bear.";

function listOf() {
  const at = (text, word) => [text.indexOf(word), text.indexOf(word) + word.length];
  const cases = [
    [CAT, ...at(CAT, "it"), ...at(CAT, "cat"), 0, ...at(CAT, "dog"), 1],
    [FOX, ...at(FOX, "It"), ...at(FOX, "fox"), 1, ...at(FOX, "bear"), 1, ...at(FOX, "a fox"), 0],
    ["She sang.", 0, 3, 4, 8, 1],
  ];
  // By head, the candidates of all cases one after another.
  const weights = [0.2, 0.6, 0.1, 0.3, 0.4, 0.5, 0.9, 0.1, NONE, NONE, NONE, NONE];
  const credits = [1, 0, NONE, 0, NONE, NONE];
  const array = (values) => ({ at: (place) => values[place] });
  return new CaseList({
    heads: [
      [3, 1, "pronoun_to_candidate"],
      [0, 2, "candidate_to_pronoun"],
    ],
    directions: {
      pronoun_to_candidate: "pronoun to candidate",
      candidate_to_pronoun: "candidate to pronoun",
    },
    scale: 1,
    arrays: { weights: array(weights), credits: array(credits) },
    packed: { names: ["c1", "=c2", "c3"], cases },
  });
}

test("the numbers of a case are those of its best antecedent and its best distractor", () => {
  const list = listOf();
  assert.deepEqual(list.facts(0), {
    antecedent: 0.6,
    distractor: 0.2,
    difference: 0.6 - 0.2,
    credit: 1,
  });
  assert.equal(list.facts(1).antecedent, 0.3);
  assert.equal(list.facts(1).distractor, 0.4);
  assert.ok(Number.isNaN(list.facts(2).distractor));
  list.place = 1;
  assert.equal(list.facts(0).antecedent, 0.1);
  assert.ok(Number.isNaN(list.facts(1).antecedent));
});

test("cases are found by all of their words, their id, and whether they are right", () => {
  const list = listOf();
  assert.deepEqual(list.found("  "), [0, 1, 2]);
  assert.deepEqual(list.found("DOG the"), [0]);
  assert.deepEqual(list.found("c3"), [2]);
  assert.deepEqual(list.found("", "wrong"), [1]);
  assert.deepEqual(list.found("", "neither"), [2]);
  assert.deepEqual(list.found("cat", "wrong"), []);
});

test("what is missing comes last in both orders, and equal ones keep the set's order", () => {
  const list = listOf();
  assert.deepEqual(list.sorted([0, 1, 2], "difference", -1), [0, 1, 2]);
  assert.deepEqual(list.sorted([0, 1, 2], "difference", 1), [1, 0, 2]);
  assert.deepEqual(list.sorted([2, 1, 0], "pronoun", 1), [0, 1, 2]);
  assert.deepEqual(list.sorted([2, 0, 1], "number", 0), [2, 0, 1]);
});

test("a text is cut at its mentions, also where one is inside another", () => {
  const [, fox] = listOf().cases;
  const pieces = piecesOf(fox);
  assert.equal(pieces.map(({ text }) => text).join(""), FOX);
  const inside = pieces.find(({ text }) => text === "fox");
  assert.deepEqual(inside.own.map(({ phrase }) => phrase).sort(), ["a fox", "fox"]);
  assert.equal(inside.ends.length, 2);
  assert.deepEqual(
    pieces.filter(({ own }) => own.length > 0).map(({ text }) => text),
    ["It", "a ", "fox", "bear"],
  );
});

test("a case is read in a sentence", () => {
  const list = listOf();
  assert.equal(readingOf(list, 0), "L3H1: “it” gives “cat” 0.200 and “dog” 0.600: right.");
  list.place = 1;
  assert.match(readingOf(list, 1), /cannot be observed/);
  list.place = 0;
  list.heads[0][2] = "candidate_to_pronoun";
  assert.match(readingOf(list, 0), /^L3H1: “it” gets from “cat” 0.200/);
  list.heads[0][2] = "last_position_to_candidate";
  assert.match(readingOf(list, 0), /^L3H1: the last position gives “cat” 0.200/);
  assert.deepEqual([1, 0, 0.5, NONE].map(verdictOf), ["right", "wrong", "tied", ""]);
});

test("what is copied has every number, and says whose", () => {
  const [heading, first, second, third] = csvOf(listOf(), [0, 1, 2]).split("\n");
  assert.ok(heading.includes("L3H1 pronoun to candidate: antecedent"));
  assert.ok(first.endsWith("it,dog,cat,0.60000,0.20000,1.00000"));
  assert.ok(second.includes('"It met a fox, and a bear."'));
  assert.ok(second.includes('"fox, bear",a fox,0.30000,0.40000,0.00000'));
  assert.ok(third.endsWith("She,sang,,0.50000,,"));
});

// The causal view: its numbers and its verdicts in words.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { standIn } from "./records.mjs";

let words;
before(async () => {
  standIn();
  words = await import("../../introspect/page/assets/causal-words.js");
});

test("numbers have three digits that count, and very small ones a power of ten", () => {
  const said = [
    [null, "–"],
    [0, "0"],
    [1.5, "1.50"],
    [-0.2, "−0.200"],
    [123.4, "123"],
    [12345.6, "12346"],
    [0.00002, "2.0·10⁻⁵"],
    [0.000017, "1.7·10⁻⁵"],
    [-3.21e-12, "−3.2·10⁻¹²"],
  ];
  for (const [value, text] of said) assert.equal(words.number(value), text);
});

test("a verdict follows from the effect and both tests", () => {
  const verdict = (pAdjusted, effect, attentionPAdjusted) =>
    words.verdict({ pAdjusted, effect, attentionPAdjusted });
  assert.equal(verdict(0.001, 2, 1), "matters; no evidence that it looks here");
  assert.equal(verdict(1, 0.1, 1), "no evidence that it looks here, or matters");
  assert.equal(verdict(0.004, 1.5, 0.001), "looks and matters");
  assert.equal(verdict(1, -0.2, 0.001), "looks; no evidence that it matters");
  // A test that finds an effect against the answer is no evidence that the head matters.
  assert.equal(verdict(0.001, -0.2, 1), "no evidence that it looks here, or matters");
  assert.equal(verdict(null, 2, 0.001), "too few groups of cases to say what is more than chance");
});

test("a head in a line has its unit, and a surrogate is called one", () => {
  const head = { layer: 3, head: 0, effect: 1.5, attentionAccuracy: 0.96, pAdjusted: 0.004 };
  head.attentionPAdjusted = 0.001;
  assert.equal(
    words.inLine(head, { unit: "nats", isSurrogate: false }),
    "L3H0: effect 1.50 nats, attends most to the antecedent in 96.0 %; looks and matters",
  );
  assert.ok(words.inLine(head, { unit: "cosine", isSurrogate: true }).includes("on a surrogate"));
});

test("all numbers of a head are named, with their unit, and what is not known has a dash", () => {
  const head = {
    effect: 2e-5,
    ciLow: 1.7e-5,
    ciHigh: 2.2e-5,
    control: 1e-6,
    difference: 1.9e-5,
    differenceLow: null,
    differenceHigh: null,
    pAdjusted: 0.0004,
    accuracy: 0.9,
    accuracyWithout: 0.6,
    n: 40,
    attentionAccuracy: null,
    attentionPAdjusted: null,
    attentionWeight: 0.48,
    attentionMargin: 0.41,
  };
  const said = Object.fromEntries(words.numbers(head, { unit: "cosine", isSurrogate: true }));
  assert.equal(said["Effect (surrogate)"], "2.0·10⁻⁵ cosine");
  assert.equal(said["95 % of the effect"], "1.7·10⁻⁵ to 2.2·10⁻⁵");
  assert.equal(said["Other heads of its layer"], "1.0·10⁻⁶");
  assert.equal(said["95 % of the difference"], "–");
  assert.equal(said["Adjusted p"], "below 0.001");
  assert.equal(said["Right with it (surrogate)"], "90.0 %");
  assert.equal(said.Cases, "40");
  assert.equal(said["Attends most to the antecedent"], "–");
  assert.equal(said["Attention margin"], "0.410");
});

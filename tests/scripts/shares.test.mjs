// What two words say of every head, beside loops that are written from the definition.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  groupsOf,
  labelOf,
  pairFacts,
  rowShares,
  Shares,
  shareOf,
  toldApart,
} from "../../introspect/page/assets/shares.js";
import { recordOf } from "./records.mjs";

const LABELS = ["[CLS]", "the", "cat", "##s", "saw", "it", "[SEP]"];

/** Two heads of rows that sum to 1, all of them different. */
function patterns() {
  return [0, 1].map((head) =>
    LABELS.map((_, query) => {
      const raw = LABELS.map((_label, key) => ((query * 7 + key * 3 + head * 5) % 11) + 1);
      const sum = raw.reduce((total, value) => total + value, 0);
      return raw.map((value) => value / sum);
    }),
  );
}

/** A record in which "cat" and "##s" are one word, seen through a mask. */
function cats(canSee = () => true) {
  const record = recordOf([patterns()], LABELS);
  record.keys.words = [null, 0, 1, 1, 2, 3, null];
  record.queries.words = record.keys.words;
  return { ...record, canSee: (_row, query, key) => canSee(query, key) };
}

const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} and ${b}`);

test("tokens of one word are together, special tokens alone", () => {
  const { keys } = cats();
  assert.deepEqual(groupsOf(keys, "word").groups, [[0], [1], [2, 3], [4], [5], [6]]);
  assert.deepEqual([...groupsOf(keys, "word").groupOf], [0, 1, 2, 2, 3, 4, 5]);
  assert.equal(groupsOf(keys, "token").groups.length, LABELS.length);
});

test("a share is the sum over the target's pieces and the mean over the source's", () => {
  const record = cats();
  const [pattern] = patterns();
  const words = groupsOf(record.keys, "word");
  const expected = (pattern[2][1] + pattern[3][1]) / 2;
  close(shareOf(record, 0, 0, [2, 3], [1]), expected);
  const row = rowShares(record, 0, 0, [2, 3], words);
  close(row[1], expected);
  close(row[2], (pattern[2][2] + pattern[2][3] + pattern[3][2] + pattern[3][3]) / 2);
  close(
    row.reduce((sum, share) => sum + share, 0),
    1,
  );
});

test("without special tokens and the word itself what is left sums to 1", () => {
  const record = cats();
  const words = groupsOf(record.keys, "word");
  const renormalized = new Shares(record, record, true);
  const shares = renormalized.row(0, 0, [5], words);
  assert.deepEqual([shares[0], shares[4], shares[5]], [0, 0, 0]);
  close(
    shares.reduce((sum, share) => sum + share, 0),
    1,
  );
  for (const [number, group] of words.groups.entries()) {
    close(renormalized.of(0, 0, [5], group), shares[number]);
  }
  const row = patterns()[0][5];
  close(shares[1], row[1] / (row[1] + row[2] + row[3] + row[4]));
});

test("of a row with nothing but special tokens and itself there is no share", () => {
  const rows = LABELS.map(() => [0.5, 0, 0, 0, 0, 0.5, 0]);
  const record = recordOf([[rows]], LABELS);
  const shares = new Shares(record, record, true);
  const words = groupsOf(record.keys, "token");
  assert.ok(Number.isNaN(shares.row(0, 0, [5], words)[1]));
  assert.ok(Number.isNaN(shares.of(0, 0, [5], [1])));
  assert.equal(shares.of(0, 0, [5], [0, 5]), 0);
});

test("what other words give is the mean over those that are neither of the two", () => {
  const record = cats();
  const facts = pairFacts(new Shares(record, record), [5], [2, 3]);
  assert.deepEqual(
    facts.map(({ row, head }) => [row, head]),
    [
      [0, 0],
      [0, 1],
    ],
  );
  for (const fact of facts) {
    const pattern = patterns()[fact.head];
    const weight = pattern[5][2] + pattern[5][3];
    const others = (pattern[1][2] + pattern[1][3] + pattern[4][2] + pattern[4][3]) / 2;
    close(fact.weight, weight);
    close(fact.others, others);
    close(fact.difference, weight - others);
    close(fact.withoutSpecial, weight / (1 - pattern[5][0] - pattern[5][6]));
    const larger = [1, 4, 5].filter((key) => pattern[5][key] > weight + 1e-6);
    assert.equal(fact.rank, 1 + larger.length);
  }
});

test("a word that cannot see the other counts nowhere", () => {
  const causal = cats((query, key) => key <= query);
  const shares = new Shares(causal, causal);
  const [first] = pairFacts(shares, [5], [2, 3]);
  const [pattern] = patterns();
  // "the" comes before the cats: only "saw" can see them.
  close(first.others, pattern[4][2] + pattern[4][3]);
  const [late] = pairFacts(shares, [1], [5]);
  assert.ok(Number.isNaN(late.weight) && Number.isNaN(late.rank));
});

test("a word is not given by itself", () => {
  const record = cats();
  assert.ok(Number.isNaN(pairFacts(new Shares(record, record), [5], [5])[0].weight));
});

test("words with as much share the best place, and special tokens have none", () => {
  const rows = LABELS.map(() => [0.4, 0.1, 0.1, 0.1, 0.2, 0.1, 0]);
  const record = { ...recordOf([[rows]], LABELS), canSee: () => true };
  const shares = new Shares(record, record);
  const ranks = [4, 1, 2].map((key) => pairFacts(shares, [5], [key])[0].rank);
  assert.deepEqual(ranks, [1, 2, 2]);
});

test("a word is spelled as in the text, by whatever it is read; its pieces as the model has them", () => {
  const words = [null, 0, 1, 1, 2];
  const named = {
    words,
    wordTexts: ["The", "Cats", "𓀀"],
    labels: ["[CLS]", "the", "cat", "s", "[UNK]"],
  };
  const by = (granularity) => words.map((_, token) => labelOf(named, token, granularity));
  assert.deepEqual(by("token"), ["[CLS]", "The", "cat", "s", "[UNK]"]);
  assert.deepEqual(by("word"), ["[CLS]", "The", "Cats", "Cats", "𓀀"]);
});

test("in a list of pairs no two tokens have one name", () => {
  const labels = ["[CLS]", "a", "[UNK]", "a", "[UNK]", "[UNK]", "b"];
  const words = [null, 0, 1, 2, 3, 4, 5];
  const wordTexts = ["A", "𓀀", "a", "𓀁", "𓀀", "b"];
  const unknown = labels.map((label) => Number(label === "[UNK]"));
  const one = { labels, words, wordTexts, unknown };
  assert.deepEqual(
    labels.map((_, token) => toldApart(one, token)),
    ["[CLS]", "a#1", "[UNK] 𓀀#1", "a#2", "[UNK] 𓀁", "[UNK] 𓀀#2", "b"],
  );
});

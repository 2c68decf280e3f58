// What a saved picture is called, and what its small print says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileName, slug, smallPrint } from "../../introspect/page/assets/export-words.js";

const TEXT = "The animal didn't cross the street because it was too tired.";

test("a file is called by its view, head, text and place in the page", () => {
  const name = fileName(["head-view", "L3H1"], TEXT, "2");
  assert.equal(name, "head-view-L3H1-the-animal-didnt-cross-2");
  assert.equal(fileName(["image", undefined], "", undefined), "image");
  assert.equal(fileName(["heatmap-view", "L3 mean"], "", "1"), "heatmap-view-L3-mean-1");
});

test("two views of a page never share a name", () => {
  const names = ["1", "2", "3"].map((number) => fileName(["head-view", "L3"], TEXT, number));
  assert.equal(new Set(names).size, 3);
});

test("a name has nothing that a system forbids, in any script", () => {
  for (const text of [
    "../a/b",
    'a:b*c?"<x>|',
    "小狗没有过马路，因为它太累了。",
    "הכלב לא חצה",
    "x".repeat(300),
  ]) {
    const name = slug(text);
    assert.match(name, /^[\p{L}\p{M}\p{N}-]+$/u);
    assert.ok([...name].length <= 24, name);
  }
  assert.equal(slug("… — !"), "");
});

test("small print holds text, model, head and weighting; a long text gives way", () => {
  const line = smallPrint(TEXT, ["minilm", "L3H1", "raw weights"], 200);
  assert.equal(line, `${TEXT} · minilm · L3H1 · raw weights`);
  const short = smallPrint(TEXT, ["minilm", "L3H1", "raw weights"], 60);
  assert.ok([...short].length <= 60 && short.endsWith("… · minilm · L3H1 · raw weights"), short);
  assert.equal(smallPrint("", [null, undefined], 50), "");
});

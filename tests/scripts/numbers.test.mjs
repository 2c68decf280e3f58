// Numbers on the page, held to the table of examples that tests/text/test_english.py reads too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as exported from "../../introspect/page/assets/numbers.js";

const numbers = { ...exported };
const table = JSON.parse(readFileSync(new URL("../text/numbers.json", import.meta.url), "utf8"));
const notInJson = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity };

const inCamelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const given = (value) => (value in notInJson ? notInJson[value] : value);

for (const [name, examples] of Object.entries(table)) {
  for (const [values, expected] of examples) {
    test(`${name} of ${JSON.stringify(values)} is “${expected}”`, () => {
      const write = numbers[inCamelCase(name)];
      const read = values.map((value) => (typeof value === "string" ? given(value) : value));
      assert.equal(write(...read), expected);
    });
  }
}

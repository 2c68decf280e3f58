// The two words that are chosen on the page, and what every head says of them by the chosen weights.
import { RENORMALIZED } from "./selection.js";
import { groupsOf, labelOf, pairFacts, Shares } from "./shares.js";
import { patternBy } from "./weighings.js";

const shares = new WeakMap();
const pairs = new WeakMap();

/** What words of a record give each other by some weights. */
export function sharesBy(record, weights) {
  if (!shares.has(record)) shares.set(record, {});
  const isRenormalized = weights === RENORMALIZED;
  const known = shares.get(record);
  known[weights] ??= new Shares(
    record,
    patternBy(record, isRenormalized ? "raw" : weights),
    isRenormalized,
  );
  return known[weights];
}

/** Whether what was chosen changes what heads say of the pair. */
export function isOfPair(changed) {
  return ["query", "key", "weights", "granularity"].some((name) => name in changed);
}

/**
 * The chosen pair; null while there are not two words.
 *
 * Strip, ranked table and model view all read it here, so that they say one number of a head.
 * @returns {{labels: string[], facts: object[], fact: (row: number, head: number) => object}}
 */
export function chosenPair(selection) {
  const { query, key, weights, granularity } = selection;
  if (query === null || key === null) return null;
  const name = [query, key, weights, granularity].join(" ");
  if (pairs.get(selection)?.name !== name) pairs.set(selection, { name, ...pairOf(selection) });
  return pairs.get(selection);
}

function pairOf({ record, query, key, weights, granularity }) {
  const [sources, targets] = [
    [record.queries, query],
    [record.keys, key],
  ].map(([sequence, token]) => {
    const { groups, groupOf } = groupsOf(sequence, granularity);
    return { tokens: groups[groupOf[token]], label: labelOf(sequence, token, granularity) };
  });
  const shares = sharesBy(record, weights);
  const facts = pairFacts(shares, sources.tokens, targets.tokens);
  const { numHeads } = shares.pattern;
  // Of all heads together every head says the same.
  const fact = (row, head) => facts[row * numHeads + Math.min(head, numHeads - 1)];
  return { labels: [sources.label, targets.label], facts, fact };
}

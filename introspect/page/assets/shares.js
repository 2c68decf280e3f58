// What a word gives each word, and what heads say of two words: the numbers of the sentence.
//
// A share is the sum over the target's tokens and the mean over the source's, as in pair_table.

/** Tokens put together: by word, or each alone; a special token stays one of its own. */
export function groupsOf(sequence, granularity) {
  const groups = [];
  sequence.words.forEach((word, index) => {
    const last = groups.at(-1);
    const isNext = granularity === "word" && word !== null && last;
    if (isNext && sequence.words[last[0]] === word) last.push(index);
    else groups.push([index]);
  });
  const groupOf = new Int32Array(sequence.words.length);
  groups.forEach((group, number) => {
    for (const index of group) groupOf[index] = number;
  });
  return { groups, groupOf };
}

/** The share that some tokens, taken as one word, give each group of keys. */
export function rowShares(pattern, row, head, sources, { groups, groupOf }) {
  const shares = new Float64Array(groups.length);
  for (const source of sources) {
    pattern.forEachWeight(row, head, source, (key, weight) => {
      shares[groupOf[key]] += weight / sources.length;
    });
  }
  return shares;
}

/** A row without special tokens and the word itself, made to sum to 1; NaN where nothing is left. */
export function renormalizedShares(shares, { groups }, special, own) {
  const isDropped = (group) => group === own || Boolean(special[groups[group][0]]);
  const kept = shares.reduce((sum, share, group) => (isDropped(group) ? sum : sum + share), 0);
  return shares.map((share, group) => {
    if (isDropped(group)) return 0;
    return kept < 1e-6 ? Number.NaN : share / kept;
  });
}

/** The share that one word gives another in a head. */
export function shareOf(pattern, row, head, sources, targets) {
  let sum = 0;
  for (const source of sources) {
    for (const target of targets) sum += pattern.weight(row, head, source, target);
  }
  return sum / sources.length;
}

/**
 * What every head says of a pair of words.
 * @param {object} record whose mask says which words can see the key
 * @param {object} pattern its numbers, by whichever method
 * @param {{groups: number[][]}} queries the words that attend
 * @param {number[]} sources the tokens of the query
 * @param {number[]} targets the tokens of the key
 * @returns {{row: number, head: number, weight: number, others: number, numOthers: number,
 *   difference: number, withoutSpecial: number}[]} in the order of heads; NaN where there is no such number
 */
export function pairFacts(record, pattern, queries, sources, targets) {
  const isSelf = record.keys === record.queries;
  const mention = isSelf ? targets.filter((target) => !sources.includes(target)) : targets;
  const taken = new Set(isSelf ? [...sources, ...targets] : sources);
  const others = queries.groups.filter(
    (group) => !record.queries.special[group[0]] && !group.some((index) => taken.has(index)),
  );
  const specials = record.keys.special.flatMap((flag, index) => (flag ? [index] : []));
  const facts = [];
  for (let row = 0; row < record.numLayers; row += 1) {
    const sees = (group) =>
      group.every((query) => mention.every((key) => record.canSee(row, query, key)));
    const seeing = others.filter(sees);
    const isSeen = sources.some((query) => mention.some((key) => record.canSee(row, query, key)));
    for (let head = 0; head < record.numHeads; head += 1) {
      const hidden = mention.length === 0 || !isSeen;
      const weight = hidden ? Number.NaN : shareOf(pattern, row, head, sources, mention);
      const sum = seeing.reduce(
        (total, group) => total + shareOf(pattern, row, head, group, mention),
        0,
      );
      const mean = seeing.length > 0 ? sum / seeing.length : Number.NaN;
      const special = shareOf(pattern, row, head, sources, specials);
      const withoutSpecial = 1 - special < 1e-6 ? Number.NaN : weight / (1 - special);
      const difference = weight - mean;
      const numOthers = seeing.length;
      facts.push({ row, head, weight, others: mean, numOthers, difference, withoutSpecial });
    }
  }
  return facts;
}

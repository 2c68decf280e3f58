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

/** What a token is called: by word its word, as the text spells it; a special token its own name. */
export function labelOf(sequence, token, granularity) {
  const word = sequence.words[token];
  const isWord = word !== null && (granularity === "word" || isWholeWord(sequence, token));
  return isWord ? sequence.wordTexts[word] : sequence.labels[token];
}

/** Whether a token is all of its word, which a model without capitals spells otherwise. */
function isWholeWord({ words, wordTexts, labels }, token) {
  const word = words[token];
  const isAlone = words.every((other, index) => other !== word || index === token);
  return isAlone && wordTexts[word].toLowerCase() === labels[token].toLowerCase();
}

const told = new WeakMap();

/** A token's label, told apart from others: an unknown one by its word, a repeated one by its number. */
export function toldApart(sequence, token) {
  if (!told.has(sequence)) told.set(sequence, distinctLabels(sequence));
  return told.get(sequence)[token];
}

function distinctLabels({ labels, words, wordTexts, unknown, groups }) {
  const named = labels.map((label, token) => {
    // Of a pattern by word the labels are the words.
    const word = groups ? null : (words?.[token] ?? null);
    return unknown[token] && word !== null ? `${label} ${wordTexts[word]}` : label;
  });
  const counts = new Map();
  const numbers = named.map((name) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts.get(name);
  });
  return named.map((name, token) => (counts.get(name) > 1 ? `${name}#${numbers[token]}` : name));
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

/** The share that one word gives another in a head. */
export function shareOf(pattern, row, head, sources, targets) {
  let sum = 0;
  for (const source of sources) {
    for (const target of targets) sum += pattern.weight(row, head, source, target);
  }
  return sum / sources.length;
}

// Less of a row than this is rounding: of nothing there is no share.
const LEAST_KEPT = 1e-6;
// Shares that differ by no more are the same on paper.
const ROUNDING = 1e-6;

/** What words give each other in a record by the chosen weights. */
export class Shares {
  /**
   * @param {object} record whose mask says which words can see which
   * @param {object} pattern its numbers, by whichever method
   * @param {boolean} isRenormalized without special tokens and the word itself, and what is left of
   *   each row made to sum to 1
   */
  constructor(record, pattern, isRenormalized = false) {
    Object.assign(this, { record, pattern, isRenormalized });
    this.isSelf = record.keys === record.queries;
    this.knownKept = new Map();
  }

  /** The share that one word gives another in a head; NaN where nothing is left of its row. */
  of(row, head, sources, targets) {
    if (!this.isRenormalized) return shareOf(this.pattern, row, head, sources, targets);
    const counted = targets.filter((target) => !this.isDropped(sources, target));
    if (counted.length === 0) return 0;
    return this.partOf(row, head, sources, shareOf(this.pattern, row, head, sources, counted));
  }

  /** The share that one word gives each group of keys. */
  row(row, head, sources, keys) {
    const shares = rowShares(this.pattern, row, head, sources, keys);
    if (!this.isRenormalized) return shares;
    const isDropped = ([first]) => this.isDropped(sources, first);
    return shares.map((share, group) =>
      isDropped(keys.groups[group]) ? 0 : this.partOf(row, head, sources, share),
    );
  }

  isDropped(sources, target) {
    return Boolean(this.record.keys.special[target]) || (this.isSelf && sources.includes(target));
  }

  partOf(row, head, sources, share) {
    const kept = this.kept(row, head, sources);
    return kept < LEAST_KEPT ? Number.NaN : share / kept;
  }

  /** What is left of a row; of the others of a pair it is asked again for every key. */
  kept(row, head, sources) {
    const { numHeads, queryLen } = this.record;
    const place = (row * numHeads + head) * queryLen + sources[0];
    const name = place * (queryLen + 1) + sources.length;
    if (!this.knownKept.has(name)) {
      let sum = 0;
      for (const source of sources) {
        this.pattern.forEachWeight(row, head, source, (key, weight) => {
          if (!this.isDropped(sources, key)) sum += weight;
        });
      }
      this.knownKept.set(name, sum / sources.length);
    }
    return this.knownKept.get(name);
  }
}

/**
 * What every head says of a pair of words, by the chosen weights.
 * @param {Shares} shares
 * @param {number[]} sources the tokens of the query
 * @param {number[]} targets the tokens of the key
 * @returns {{row: number, head: number, weight: number, others: number, numOthers: number,
 *   difference: number, rank: number, withoutSpecial: number}[]} in the order of heads, or of layers
 *   where a method takes all heads together; NaN where there is no such number
 */
export function pairFacts(shares, sources, targets) {
  const { record, isSelf, pattern } = shares;
  const mention = isSelf ? targets.filter((target) => !sources.includes(target)) : targets;
  const taken = new Set(isSelf ? [...sources, ...targets] : sources);
  // The others are words, by whatever the text is read.
  const others = groupsOf(record.queries, "word").groups.filter(
    (group) => !record.queries.special[group[0]] && !group.some((index) => taken.has(index)),
  );
  const keys = groupsOf(record.keys, "word");
  const rivals = [...keys.groups.keys()].filter(
    (number) =>
      !record.keys.special[keys.groups[number][0]] &&
      !keys.groups[number].some((index) => mention.includes(index)),
  );
  const specials = record.keys.special.flatMap((flag, index) => (flag ? [index] : []));
  const facts = [];
  for (let row = 0; row < record.numLayers; row += 1) {
    const sees = (group) =>
      group.every((query) => mention.every((key) => record.canSee(row, query, key)));
    const seeing = others.filter(sees);
    const isSeen = sources.some((query) => mention.some((key) => record.canSee(row, query, key)));
    for (let head = 0; head < pattern.numHeads; head += 1) {
      const share = (group, keyTokens) => shares.of(row, head, group, keyTokens);
      const hidden = mention.length === 0 || !isSeen;
      const weight = hidden ? Number.NaN : share(sources, mention);
      const sum = seeing.reduce((total, group) => total + share(group, mention), 0);
      const mean = seeing.length > 0 ? sum / seeing.length : Number.NaN;
      const kept = 1 - share(sources, specials);
      facts.push({
        row,
        head,
        weight,
        others: mean,
        numOthers: seeing.length,
        difference: weight - mean,
        rank: rankOf(weight, shares.row(row, head, sources, keys), rivals),
        withoutSpecial: kept < LEAST_KEPT ? Number.NaN : weight / kept,
      });
    }
  }
  return facts;
}

/** The place of a share in a row of words, from 1, with ties at the best place. */
function rankOf(weight, row, rivals) {
  if (Number.isNaN(weight)) return Number.NaN;
  return 1 + rivals.filter((rival) => row[rival] > weight + ROUNDING).length;
}

// Walking through words that wrap: along a line, and from line to line.

const SAME_LINE = 6;

/** The word that a key leads to; null where it leads nowhere. */
export function lineMoves(word, words, { key }) {
  const place = words.indexOf(word);
  const isRight = getComputedStyle(word.parentElement).direction === "rtl";
  const step = { ArrowRight: isRight ? -1 : 1, ArrowLeft: isRight ? 1 : -1 }[key];
  if (step !== undefined) return words[place + step] ?? null;
  if (key === "Home") return words[0];
  if (key === "End") return words.at(-1);
  const down = { ArrowDown: 1, ArrowUp: -1 }[key];
  return down === undefined ? null : onNextLine(word, words, down);
}

/** The word of the next line that is nearest to being above or below. */
function onNextLine(word, words, down) {
  const middle = (box) => box.left + box.width / 2;
  const own = word.getBoundingClientRect();
  const boxes = words.map((other) => [other, other.getBoundingClientRect()]);
  const beyond = boxes.filter(([, box]) => down * (box.top - own.top) > SAME_LINE);
  if (beyond.length === 0) return null;
  const line = beyond.reduce(
    (best, [, box]) => (down * (box.top - best) < 0 ? box.top : best),
    down * Number.POSITIVE_INFINITY,
  );
  const there = beyond.filter(([, box]) => Math.abs(box.top - line) <= SAME_LINE);
  const distance = ([, box]) => Math.abs(middle(box) - middle(own));
  return there.reduce((best, one) => (distance(one) < distance(best) ? one : best))[0];
}

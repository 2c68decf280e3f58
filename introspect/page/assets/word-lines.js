// The lines of a text that wraps: what stands on each, where numbers have room below, and where an
// arc can pass between words.

// So near, two numbers read as one.
const APART = 3;
// What an arc passes through is at least so wide, or it goes around the line.
const LEAST_SPACE = 5;
const MARGIN = 7;
const LEAST_BOX = 3;

/**
 * The lines, from top to bottom.
 * @param {Element[]} parts words, and labels that stand between them
 * @param {DOMRect} frame what places are counted from
 * @returns {{top: number, bottom: number, boxes: object[]}[]} the boxes of each from left to right,
 *   in pixels, with their `part`
 */
export function linesOf(parts, frame) {
  const boxes = parts.flatMap((part) =>
    rectsOf(part).map(({ left, right, top, bottom }) => ({
      part,
      left: left - frame.left,
      right: right - frame.left,
      top: top - frame.top,
      bottom: bottom - frame.top,
    })),
  );
  boxes.sort((a, b) => a.top + a.bottom - b.top - b.bottom);
  const lines = [];
  for (const box of boxes) {
    const line = lines.at(-1);
    const isBelow = !line || (box.top + box.bottom) / 2 > line.bottom;
    if (isBelow) lines.push({ top: box.top, bottom: box.bottom, boxes: [box] });
    else {
      line.top = Math.min(line.top, box.top);
      line.bottom = Math.max(line.bottom, box.bottom);
      line.boxes.push(box);
    }
  }
  for (const { boxes: own } of lines) own.sort((a, b) => a.left - b.left);
  return lines;
}

/** The boxes of a part, one a line; at the end of a line an edge of it may stand, and nothing else. */
function rectsOf(part) {
  const rects = [...part.getClientRects()];
  const wide = rects.filter(({ left, right }) => right - left > LEAST_BOX);
  return wide.length > 0 ? wide : rects;
}

/**
 * The row below its line that each number has room in, counted from 0; −1 for none.
 * @param {{left: number, right: number}[]} numbers of one line, from left to right
 * @param {number} most how many rows there are
 */
export function rowsOfNumbers(numbers, most) {
  const ends = Array.from({ length: most }, () => Number.NEGATIVE_INFINITY);
  return numbers.map(({ left, right }) => {
    const row = ends.findIndex((end) => left >= end + APART);
    if (row !== -1) ends[row] = right;
    return row;
  });
}

/** Where an arc passes a line near some place: between two of its boxes, or around them. */
export function passageNear({ boxes, numbers = [] }, x) {
  const taken = [...boxes, ...numbers].sort((a, b) => a.left - b.left);
  const passages = [taken[0].left - MARGIN];
  let end = taken[0].right;
  for (const { left, right } of taken.slice(1)) {
    if (left - end >= LEAST_SPACE) passages.push((left + end) / 2);
    end = Math.max(end, right);
  }
  passages.push(end + MARGIN);
  return passages.reduce((best, one) => (Math.abs(one - x) < Math.abs(best - x) ? one : best));
}

// A block of a matrix: first and last row, first and last column.
import { fitting, range } from "./address.js";
import { whole } from "./numbers.js";

/** How many rows or columns. */
export function lengthOf([first, last]) {
  return last - first + 1;
}

/** Whether two ranges are one. */
export function isSame([a, b], [c, d]) {
  return a === c && b === d;
}

/** The block that two cells span. */
export function between([a, b], [c, d]) {
  return { query: [Math.min(a, c), Math.max(a, c)], key: [Math.min(b, d), Math.max(b, d)] };
}

/** A block, first and last of each side, from words of the address; null if they do not fit. */
export function blockFrom(link, whole) {
  const { rows, columns } = fitting(link, {
    rows: range(whole.query[1]),
    columns: range(whole.key[1]),
  });
  return rows || columns ? { query: rows ?? whole.query, key: columns ?? whole.key } : null;
}

/** The block as words of the address; what is whole needs none. */
export function blockToLink(block, whole) {
  const text = (side) =>
    !block || isSame(block[side], whole[side]) ? null : `${block[side][0]}-${block[side][1]}`;
  return { rows: text("query"), columns: text("key") };
}

/** "rows 3–7 of 17", for each side of which a part is seen. */
export function blockWords(block, all) {
  const words = [
    ["query", "rows"],
    ["key", "columns"],
  ].filter(([side]) => !isSame(block[side], all[side]));
  return words
    .map(
      ([side, name]) =>
        `${name} ${block[side].map(whole).join("–")} of ${whole(lengthOf(all[side]))}`,
    )
    .join(", ");
}

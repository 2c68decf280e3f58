// The sentence of a case, with arcs from the pronoun to each word.
import { colorOf } from "./theme.js";

const COLORS = { antecedent: "accent", distractor: "rival" };

export const ARC_HEIGHT = 150;

const ARC_POINTS = 65;

// The room of a letter of 20 pixels, of the narrowest word, and between two words.
const LETTER = 10;
const NARROWEST = 32;
const SPACE = 14;

/** What the head gives from the pronoun to each word, or from each word to the pronoun. */
function wordWeights(record, words, { row, head, direction }) {
  const pronoun = words.filter((word) => word.role === "pronoun").flatMap((word) => word.pieces);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const weight = (query, key) => record.weight(row, head, query, key);
  if (direction === "pronoun_to_candidate") {
    return words.map(
      (word) =>
        sum(pronoun.map((query) => sum(word.pieces.map((key) => weight(query, key))))) /
        pronoun.length,
    );
  }
  return words.map(
    (word) =>
      sum(word.pieces.map((query) => sum(pronoun.map((key) => weight(query, key))))) /
      word.pieces.length,
  );
}

/**
 * The sentence on one line for a whole figure: arcs, and each word with what stands under it.
 * @param {{row: number, head: number, direction: string}} state what is shown
 * @param {string[]} numbers what stands under each word
 */
export function sentenceParts(record, style, state, numbers) {
  const weights = wordWeights(record, style.words, state);
  let width = 0;
  const texts = style.words.map(({ label, role }, index) => {
    const room = Math.max([...label].length * LETTER, NARROWEST);
    width += room + SPACE;
    return {
      label,
      x: width - SPACE / 2 - room / 2,
      number: numbers[index],
      color: colorOf(COLORS[role] ?? "ink"),
    };
  });
  const centers = texts.map(({ x }) => x);
  return { traces: arcsOf(style, weights, centers), texts, width };
}

function arcsOf(style, weights, centers) {
  const origins = centers.filter((_, index) => style.words[index].role === "pronoun");
  const origin = origins.reduce((sum, x) => sum + x, 0) / origins.length;
  const farthest = Math.max(...centers.map((x) => Math.abs(x - origin)), 1);
  return weights.flatMap((weight, index) => {
    const { role } = style.words[index];
    if (role === "pronoun" || !(weight >= style.arcThreshold)) return [];
    return [arc(origin, centers[index], farthest, weight, colorOfRole(role))];
  });
}

function colorOfRole(role) {
  return colorOf(COLORS[role] ?? "muted");
}

/** Half an ellipse between two words, higher the farther they are apart. */
function arc(origin, end, farthest, weight, color) {
  const middle = (origin + end) / 2;
  const radius = (end - origin) / 2;
  const top = 0.12 + 0.8 * Math.sqrt(Math.abs(end - origin) / farthest);
  const angles = Array.from({ length: ARC_POINTS }, (_, i) => (Math.PI * i) / (ARC_POINTS - 1));
  return {
    type: "scatter",
    mode: "lines",
    x: angles.map((angle) => middle - radius * Math.cos(angle)),
    y: angles.map((angle) => top * Math.sin(angle)),
    line: { color: color, width: 1 + 7 * weight, simplify: false },
    opacity: 0.3 + 0.7 * weight,
    hoverinfo: "skip",
  };
}

// The sentence of a case, with arcs from the pronoun to each word.
import { element } from "./dom.js";
import { decimal } from "./numbers.js";
import { draw } from "./plot.js";
import { colorOf } from "./theme.js";
import { walkWithArrows } from "./tokens.js";

const COLORS = { antecedent: "accent", distractor: "rival" };

export const ARC_HEIGHT = 150;

const ARC_POINTS = 65;

/** What the head gives from the pronoun to each word, or from each word to the pronoun. */
export function wordWeights(record, words, { row, head, direction }) {
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

/** The words on one line, with room for arcs above them; it scrolls sideways if it must. */
export function sentenceStrip(style) {
  const picture = element("div", { class: "arcs" });
  const shares = style.words.map(() => element("small", { class: "share" }));
  const words = style.words.map((word, index) => wordButton(word, shares[index]));
  const line = element("div", { class: "words" }, words);
  const strip = element("div", { class: "strip" }, [picture, line]);
  const label = "The sentence, with arcs from the pronoun";
  const root = element("div", { class: "sentence", role: "group", "aria-label": label }, strip);
  walkWithArrows(words);
  let shown = null;
  words.forEach((word, index) => {
    const write = () => {
      if (shown) shares[index].textContent = decimal(shown.weights[index]);
    };
    const restore = () => {
      if (shown) shares[index].textContent = shown.numbers[index];
    };
    word.addEventListener("pointerenter", write);
    word.addEventListener("focus", write);
    word.addEventListener("pointerleave", restore);
    word.addEventListener("blur", restore);
  });

  /** Draw the arcs of one head, and write the candidates' weights under them. */
  function show(weights, numbers) {
    shown = { weights, numbers };
    shares.forEach((share, index) => {
      share.textContent = numbers[index];
    });
    if (root.clientWidth === 0) return;
    const { width } = places();
    draw(picture, traces(), { x: [0, width], y: [0, 1], width, height: ARC_HEIGHT });
  }

  /** Where each word's middle is, and how wide the line is. */
  function places() {
    const centers = words.map((word) => word.offsetLeft + word.offsetWidth / 2);
    // The line itself is as wide as what was drawn above it.
    const ends = words.map((word) => word.offsetLeft + word.offsetWidth);
    return { centers, width: Math.max(root.clientWidth, ...ends) };
  }

  function traces() {
    const { centers } = places();
    const origins = centers.filter((_, index) => style.words[index].role === "pronoun");
    const origin = origins.reduce((sum, x) => sum + x, 0) / origins.length;
    const farthest = Math.max(...centers.map((x) => Math.abs(x - origin)), 1);
    return shown.weights.flatMap((weight, index) => {
      const { role } = style.words[index];
      if (role === "pronoun" || !(weight >= style.arcThreshold)) return [];
      return [arc(origin, centers[index], farthest, weight, colorOfRole(role))];
    });
  }

  /** What is seen, for a whole figure: arcs, and each word with what stands under it. */
  function parts() {
    const { centers, width } = places();
    const texts = style.words.map(({ label, role }, index) => ({
      label,
      x: centers[index],
      number: shown.numbers[index],
      color: colorOf(COLORS[role] ?? "ink"),
    }));
    return { traces: traces(), texts, width };
  }
  return { root, show, parts };
}

function colorOfRole(role) {
  return colorOf(COLORS[role] ?? "muted");
}

function wordButton(word, share) {
  const role = word.role ? `, ${word.role}` : "";
  const attributes = {
    type: "button",
    class: "word",
    "data-role": word.role,
    "data-side": word.role === "pronoun" ? "query" : "key",
    "data-token-index": word.pieces[0],
    "aria-label": `${word.label}${role}`,
  };
  return element("button", attributes, [element("bdi", {}, word.label), share]);
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

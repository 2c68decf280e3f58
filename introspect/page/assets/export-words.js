// What a saved picture is called, and what its small print says.
import { shortened } from "./dom.js";

const LONGEST_PART = 24;
const SHORTEST_TEXT = 16;

/** Letters and digits of any script, joined by hyphens: what every system takes as a name. */
export function slug(text, longest = LONGEST_PART) {
  const words = text
    .normalize("NFC")
    .toLowerCase()
    .replace(/['’]/g, "")
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter(Boolean);
  let name = "";
  for (const word of words) {
    const longer = name ? `${name}-${word}` : shortened(word, longest).replace("…", "");
    if ([...longer].length > longest) break;
    name = longer;
  }
  return name;
}

/**
 * "head-view-L3H1-the-animal-didnt-2": what it is, the beginning of its text, and the number of the
 * view in its page, so that no two views of a page write one file.
 */
export function fileName(parts, text, number) {
  const head = parts[1]?.replaceAll(/[^\p{L}\p{N}]+/gu, "-");
  return [parts[0], head, slug(text), number].filter(Boolean).join("-");
}

/** Text, model, head and weighting in a line of at most so many letters; the text gives way. */
export function smallPrint(text, others, longest) {
  const known = others.filter(Boolean);
  const rest = known.reduce((sum, part) => sum + [...part].length + 3, 0);
  const start = text ? shortened(text, Math.max(SHORTEST_TEXT, longest - rest)) : "";
  return [start, ...known].filter(Boolean).join(" · ");
}

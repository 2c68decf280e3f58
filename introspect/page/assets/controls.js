// Controls that every view may have: a slider, a choice, a search field.
import { element, labeled } from "./dom.js";

/** What the arrow keys mean: a step down and a step to the right. */
export const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** The two directions in which a case is scored. */
export const DIRECTIONS = [
  ["pronoun_to_candidate", "pronoun to candidate"],
  ["candidate_to_pronoun", "candidate to pronoun"],
];

/** What the colors of a map may reach to. */
export const SCALES = [
  ["one", "0 to 1"],
  ["largest", "0 to largest"],
];

/**
 * A slider with its value beside it.
 * @param {{name: string, label: string, min: number, max: number, step: number, value: number,
 *   say: (value: number) => string, change: (value: number) => void}} options
 * @returns {{root: Element, show: (value: number) => void}} show sets it without telling anybody
 */
export function slider({ name, label, min, max, step, value, say, change }) {
  const input = element("input", { type: "range", name, min, max, step, value });
  const output = element("output", {});
  const show = (now) => {
    input.value = String(now);
    input.setAttribute("aria-valuetext", say(now));
    output.textContent = say(now);
  };
  input.addEventListener("input", () => {
    show(Number(input.value));
    change(Number(input.value));
  });
  show(value);
  return { root: labeled(label, input, output), show };
}

/**
 * A choice from a list.
 * @param {{name: string, label: string, options: [string, string][], value: string,
 *   change: (value: string) => void}} options pairs of value and words
 * @returns {{root: Element, show: (value: string) => void}}
 */
export function choice({ name, label, options, value, change }) {
  const select = element(
    "select",
    { name },
    options.map(([key, words]) => element("option", { value: key }, words)),
  );
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  const show = (now) => {
    select.value = now;
  };
  return { root: labeled(label, select), show };
}

/** How far the colors reach. */
export function scaleChoice(value, change) {
  return choice({ name: "scale", label: "Colors", options: SCALES, value, change });
}

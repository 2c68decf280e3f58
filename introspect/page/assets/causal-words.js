// What the causal view says of a head.
import { headName } from "./dom.js";
import { adjustedP } from "./head-map.js";

const SIGNIFICANT = 0.05;
const SMALL = 0.001;
const RAISED = [..."⁰¹²³⁴⁵⁶⁷⁸⁹"];

/** A number with three digits that count; very small ones with two, and a power of ten. */
export function number(value) {
  if (value === null) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < SMALL ? byPowers(size) : precise(size);
  return value < 0 ? `−${text}` : text;
}

function precise(size) {
  return size >= 100 ? size.toFixed(0) : size.toPrecision(3);
}

/** 1.5·10⁻⁴. */
function byPowers(size) {
  const [mantissa, exponent] = size.toExponential(1).split("e-");
  const raised = [...exponent].map((digit) => RAISED[digit]).join("");
  return `${mantissa}·10⁻${raised}`;
}

/** What a head does and where it looks, as far as the tests tell. */
export function verdict({ pAdjusted, attentionPAdjusted, effect }) {
  if (pAdjusted === null) return "too few groups of cases to say what is more than chance";
  const matters = pAdjusted < SIGNIFICANT && effect > 0;
  const looks = attentionPAdjusted !== null && attentionPAdjusted < SIGNIFICANT;
  if (matters && looks) return "looks and matters";
  if (matters) return "matters; no evidence that it looks here";
  if (looks) return "looks; no evidence that it matters";
  return "no evidence that it looks here, or matters";
}

/** A head in a line, as a point says it. */
export function inLine(head, { unit, isSurrogate }) {
  const of = isSurrogate ? " on a surrogate" : "";
  return (
    `${headName(head.layer, head.head)}: effect${of} ${number(head.effect)} ${unit}, attends most ` +
    `to the antecedent in ${percent(head.attentionAccuracy)}; ${verdict(head)}`
  );
}

/** All numbers of a head, each with its name. */
export function numbers(head, { unit, isSurrogate }) {
  const of = isSurrogate ? " (surrogate)" : "";
  return [
    [`Effect${of}`, `${number(head.effect)} ${unit}`],
    ["95 % of the effect", range(head.ciLow, head.ciHigh)],
    ["Other heads of its layer", number(head.control)],
    ["Difference", number(head.difference)],
    ["95 % of the difference", range(head.differenceLow, head.differenceHigh)],
    ["Adjusted p", head.pAdjusted === null ? "–" : adjustedP(head.pAdjusted)],
    [`Right with it${of}`, percent(head.accuracy)],
    [`Right without it${of}`, percent(head.accuracyWithout)],
    ["Cases", String(head.n)],
    ["Attends most to the antecedent", percent(head.attentionAccuracy)],
    ["Its adjusted p", head.attentionPAdjusted === null ? "–" : adjustedP(head.attentionPAdjusted)],
    ["Attention to the antecedent", number(head.attentionWeight)],
    ["Attention margin", number(head.attentionMargin)],
  ];
}

function percent(value) {
  return value === null ? "–" : `${(100 * value).toFixed(1)} %`;
}

function range(low, high) {
  return low === null ? "–" : `${number(low)} to ${number(high)}`;
}

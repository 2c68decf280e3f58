// One case of a set: its text with what a head gives each candidate, and what other heads do.
import { PLACES, piecesOf, verdictOf } from "./case-list.js";
import { element, headName, quoted } from "./dom.js";
import { decimal, listed, signed, whole, writtenDifference } from "./numbers.js";
import { sortableTable } from "./tables.js";

/** Who gives weight to whom, by the direction that is scored. */
const GIVERS = {
  pronoun_to_candidate: (pronoun) => `${pronoun} gives`,
  candidate_to_pronoun: (pronoun) => `${pronoun} gets from`,
  last_position_to_candidate: () => "the last position gives",
};

/** The place of the chosen case: `show` puts one there, or none. */
export function caseText(list, openWhole) {
  const sentence = element("p", { class: "case-sentence", dir: "auto" });
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const opener = element("button", { type: "button", class: "plain" }, "All its words and heads");
  const others = element("details", { class: "ranked-pairs" });
  const root = element("div", { class: "case-shown" }, [reading, sentence, opener, others]);
  let shown = null;
  opener.addEventListener("click", () => openWhole(list.style.shownWhole[shown]));
  others.addEventListener("toggle", drawOthers);

  function show(index) {
    shown = index;
    root.hidden = index === null;
    if (index === null) return;
    reading.textContent = readingOf(list, index);
    sentence.replaceChildren(...piecesOf(list.cases[index]).map((piece) => partOf(piece, index)));
    opener.hidden = list.style.shownWhole[index] === undefined;
    drawOthers();
  }

  function partOf({ text, own, ends }, index) {
    if (own.length === 0) return text;
    const { pronoun, candidates } = list.cases[index];
    const part = element("span", { class: "case-mention" }, text);
    for (const one of own) {
      if (one === pronoun) part.dataset.role = "pronoun";
      else part.dataset.role ??= one.isAntecedent ? "antecedent" : "distractor";
    }
    const inside = own.filter((one) => one !== pronoun);
    const weights = inside.map((one) => list.weight(index, candidates.indexOf(one)));
    const strongest = Math.max(0, ...weights.filter((weight) => !Number.isNaN(weight)));
    part.style.setProperty("--tint", Math.sqrt(strongest / list.style.scale).toFixed(3));
    const numbers = ends
      .filter((one) => one !== pronoun)
      .map((one) => decimal(list.weight(index, candidates.indexOf(one)), PLACES));
    if (numbers.length > 0) part.append(element("small", {}, listed(numbers)));
    return part;
  }

  /** What the other heads give, in a table that is made when it is asked for. */
  function drawOthers() {
    const summary = element("summary", {}, `This case by ${whole(list.heads.length)} heads`);
    others.replaceChildren(summary);
    others.hidden = list.heads.length < 2;
    if (!others.open || shown === null) return;
    const rows = list.heads.map((head, place) => headRow(list, shown, head, place));
    const names = ["head", "direction", "antecedent", "distractor", "difference", "right"];
    const headings = names.map((name) => element("th", { scope: "col" }, name));
    const table = element("table", { class: "data" }, [
      element("thead", {}, element("tr", {}, headings)),
      element("tbody", {}, rows),
    ]);
    others.append(table);
    sortableTable(table, "case-by-heads");
  }
  return { root, show };
}

function headRow(list, index, [layer, head, way], place) {
  const { antecedent, distractor, credit } = list.facts(index, place);
  const cells = [
    list.style.directions[way],
    decimal(antecedent, PLACES),
    decimal(distractor, PLACES),
    signed(writtenDifference(antecedent, distractor, PLACES), PLACES),
    verdictOf(credit) || "–",
  ];
  return element("tr", {}, [
    element("th", { scope: "row" }, headName(layer, head)),
    ...cells.map((text) => element("td", {}, text)),
  ]);
}

/** "L3H1: “it” gives “animal” 0.68 and “street” 0.05: right." */
export function readingOf(list, index) {
  const { pronoun, candidates } = list.cases[index];
  const [layer, head, way] = list.heads[list.place];
  const given = candidates.flatMap(({ phrase }, candidate) => {
    const weight = list.weight(index, candidate);
    return Number.isNaN(weight) ? [] : [`${quoted(phrase)} ${decimal(weight, PLACES)}`];
  });
  const name = headName(layer, head);
  if (given.length === 0) {
    return `${name}: this direction cannot be observed, because what it would attend to comes later.`;
  }
  const verdict = verdictOf(list.credit(index)) || "no choice is offered";
  return `${name}: ${GIVERS[way](quoted(pronoun.phrase))} ${listed(given)}: ${verdict}.`;
}

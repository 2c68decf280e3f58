// The coreference view: arcs over the sentence, the map of heads, the ranked table.
import { fitting, headNamed, oneOf } from "./address.js";
import { choice, DIRECTIONS } from "./controls.js";
import { sentenceStrip, wordWeights } from "./coreference-arcs.js";
import { coreferenceFigure } from "./coreference-figure.js";
import { rankedTable } from "./coreference-table.js";
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { openHead } from "./head.js";
import { drawHeads, headGrid, headTrace, scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { decimal } from "./numbers.js";
import { onWidth } from "./plot.js";
import { onTheme, themed } from "./theme.js";

const MAP_CELL_HEIGHT = 30;

/** Build the view in its section. */
export function mountCoreferenceView(section, style, record) {
  const first = { ...style.head, direction: style.direction };
  const state = linkedState(readLink(section.id), first, record);
  const scores = () => style.directions[state.direction];
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const sentence = sentenceStrip(style);
  const grid = headGrid(
    record.layers,
    record.numHeads,
    (row, head) => describe(style, scores(), row, head),
    { choose },
  );
  const legend = scaleLegend(style.scale, ...mapEnds(style));
  const table = rankedTable(record, style, choose);
  const opener = element("button", { type: "button", class: "plain" }, "Open in the head view");
  opener.addEventListener("click", () => {
    openHead(section, record, record.layers[state.row], state.head, "coreference view");
  });
  section.append(
    element("div", { class: "controls" }, [
      directionControl(state, changeDirection),
      opener,
      exportButtons("coreference-view", () => wholeFigure()),
    ]),
    reading,
    sentence.root,
    element("div", { class: "score-map" }, [element("h3", {}, mapTitle(style)), grid.root, legend]),
    table.root,
  );
  onWidth(grid.picture.parentElement, drawMap);
  onWidth(sentence.root, () => drawArcs());
  onTheme(() => {
    drawMap();
    drawArcs();
  });

  function choose(row, head) {
    state.row = row;
    state.head = head;
    update();
  }

  function changeDirection(direction) {
    state.direction = direction;
    const [best] = scores().ranked;
    if (best) [state.row, state.head] = best;
    drawMap();
    update();
  }

  function mapTrace() {
    const z = scores().preference.map((line, row) =>
      scores().observable[row] ? line : line.map(() => null),
    );
    return headTrace(z, style.range, themed(style.scale));
  }

  function drawMap() {
    drawHeads(grid, mapTrace(), MAP_CELL_HEIGHT);
  }

  function drawArcs() {
    const weights = wordWeights(record, style.words, state);
    sentence.show(weights, candidateNumbers(style, scores(), state));
  }

  function update() {
    reading.textContent = sentenceOf(record, style, scores(), state);
    grid.mark(state.row, state.head);
    table.show(scores(), state);
    drawArcs();
    writeLink(section.id, linkOf(state, first, record));
  }

  function wholeFigure() {
    const words = { title: reading.textContent, mapTitle: mapTitle(style), ends: mapEnds(style) };
    return coreferenceFigure(sentence.parts(), mapTrace(), { record, ...state, ...words });
  }
  update();
}

/** What the view shows first: as the address says, else as it was made. */
function linkedState(link, first, record) {
  const { head, direction } = fitting(link, {
    head: headNamed(record.layers, record.numHeads),
    direction: oneOf(DIRECTIONS.map(([name]) => name)),
  });
  const [row, number] = head ?? [first.row, first.head];
  return { row, head: number, direction: direction ?? first.direction };
}

function linkOf({ row, head, direction }, first, record) {
  const isFirst = row === first.row && head === first.head;
  return {
    head: isFirst ? null : headName(record.layers[row], head),
    direction: direction === first.direction ? null : direction,
  };
}

function directionControl(state, change) {
  return choice({
    name: "direction",
    label: "Direction",
    options: DIRECTIONS,
    value: state.direction,
    change,
  }).root;
}

/** What stands under each word: at the last word of a candidate, the weight it was scored with. */
function candidateNumbers(style, scores, { row, head }) {
  return style.words.map((_, index) => {
    const candidate = style.candidates.indexOf(index);
    if (candidate < 0 || !scores.observable[row]) return "";
    return decimal(scores.candidates[candidate][row][head]);
  });
}

function sentenceOf(record, style, scores, { row, head, direction }) {
  const name = headName(record.layers[row], head);
  if (!scores.observable[row]) {
    return `${name}: this direction cannot be observed. The model reads from left to right, and something it would attend to comes later.`;
  }
  const pronoun = `“${style.pronoun}”`;
  const given = (candidates, weight) =>
    direction === "pronoun_to_candidate"
      ? `${decimal(weight)} to ${candidates}`
      : `${decimal(weight)} from ${candidates}`;
  const parts = [];
  for (const side of ["antecedent", "distractor"]) {
    const share = scores.given[side]?.[row][head] ?? null;
    if (share !== null) parts.push(given(style[side], share));
  }
  const verb = direction === "pronoun_to_candidate" ? "gives" : "gets";
  return `${name}: ${pronoun} ${verb} ${parts.join(", ")}.`;
}

function describe(style, scores, row, head) {
  if (!scores.observable[row]) return "cannot be observed";
  const parts = [];
  const antecedent = scores.antecedent[row][head];
  const distractor = scores.distractor[row][head];
  if (antecedent !== null) parts.push(`${style.antecedent} ${decimal(antecedent)}`);
  if (distractor !== null) parts.push(`${style.distractor} ${decimal(distractor)}`);
  return parts.join(", ");
}

function mapTitle(style) {
  return style.antecedent && style.distractor
    ? `Every head: weight of ${style.antecedent} minus weight of ${style.distractor}`
    : `Every head: weight of ${style.antecedent || style.distractor}`;
}

/** What the two ends of the colors mean. */
function mapEnds(style) {
  return style.range[0] < 0
    ? [`${style.distractor} gets more (−1)`, `${style.antecedent} gets more (+1)`]
    : ["weight 0", "1"];
}

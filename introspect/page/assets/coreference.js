// The coreference view: arcs over the sentence, the map of heads, the ranked table.
import { fitting, oneOf } from "./address.js";
import { choice, DIRECTIONS } from "./controls.js";
import { sentenceParts } from "./coreference-arcs.js";
import { coreferenceFigure } from "./coreference-figure.js";
import { rankedTable } from "./coreference-table.js";
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { openHead } from "./head.js";
import { drawHeads, headGrid, headTrace, scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { decimal } from "./numbers.js";
import { onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { onTheme, themed } from "./theme.js";

const MAP_CELL_HEIGHT = 30;

/** Build the view in its section. */
export function mountCoreferenceView(section, style, record) {
  const first = { ...style.head, direction: style.direction };
  const state = linkedState(readLink(section.id), first);
  const scores = () => style.directions[state.direction];
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const apart = element("p", { class: "note", hidden: "" });
  const selection = selectionOf(record, { row: state.row, head: state.head });
  const grid = headGrid(
    record.layers,
    record.numHeads,
    (row, head) => describe(style, scores(), row, head),
    { choose },
  );
  const legend = scaleLegend(style.scale, ...mapEnds(style));
  const table = rankedTable(record, style, choose);
  const opener = element(
    "button",
    { type: "button", class: "plain on-screen" },
    "Open in the head view",
  );
  opener.addEventListener("click", () => {
    openHead(section, record, record.layers[state.row], state.head, "coreference view");
  });
  section.append(
    element("div", { class: "controls" }, [
      directionControl(state, changeDirection),
      opener,
      exportButtons(
        "coreference-view",
        () => wholeFigure(),
        () => ({ head: headName(record.layers[state.row], state.head), weights: "raw weights" }),
      ),
    ]),
    reading,
    apart,
    element("div", { class: "score-map" }, [element("h3", {}, mapTitle(style)), grid.root, legend]),
    table.root,
  );
  onWidth(grid.picture.parentElement, drawMap);
  onTheme(drawMap);

  function choose(row, head) {
    state.row = row;
    state.head = head;
    update();
    selection.set({ row, head }, take);
  }

  /** What was chosen elsewhere on the page. */
  function take({ row = state.row, head = state.head }) {
    apart.textContent = apartWords(style, selection);
    apart.hidden = apart.textContent === "";
    if (row === state.row && head === state.head) return;
    Object.assign(state, { row, head });
    update();
  }

  function changeDirection(direction) {
    state.direction = direction;
    const [best] = scores().ranked;
    drawMap();
    if (best) choose(...best);
    else update();
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

  function update() {
    reading.textContent = sentenceOf(record, style, scores(), state);
    grid.mark(state.row, state.head);
    table.show(scores(), state);
    writeLink(section.id, linkOf(state, first));
  }

  function wholeFigure() {
    const words = { title: reading.textContent, mapTitle: mapTitle(style), ends: mapEnds(style) };
    const numbers = candidateNumbers(style, scores(), state);
    const sentence = sentenceParts(record, style, state, numbers);
    return coreferenceFigure(sentence, mapTrace(), { record, ...state, ...words });
  }
  update();
  selection.follow(take);
}

/** What the view shows first: as the address says, else as it was made. */
function linkedState(link, first) {
  const { direction } = fitting(link, { direction: oneOf(DIRECTIONS.map(([name]) => name)) });
  return { ...first, direction: direction ?? first.direction };
}

function linkOf({ direction }, first) {
  return { direction: direction === first.direction ? null : direction };
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

/** What of the page's choice this view does not follow: it says how the case was scored. */
function apartWords(style, { weights, query, key }) {
  const isOf = (token, role) =>
    token === null || style.words.some((word) => word.role === role && word.pieces.includes(token));
  const isCase = isOf(query, "pronoun") && (isOf(key, "antecedent") || isOf(key, "distractor"));
  if (isCase && weights === "raw") return "";
  if (isCase) {
    return "This view keeps to the raw weights, by which the case was scored, whatever is chosen above.";
  }
  return weights === "raw"
    ? `This view keeps to the pronoun “${style.pronoun}” and its candidates, by which the case was scored, whatever is chosen above.`
    : `This view keeps to the pronoun “${style.pronoun}” and its candidates and the raw weights, by which the case was scored, whatever is chosen above.`;
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

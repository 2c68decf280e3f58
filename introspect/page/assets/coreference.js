// The coreference view: arcs over the sentence, the map of heads, the ranked table.
import { element, headName, labelled } from "./dom.js";
import { openHead } from "./head.js";
import { headGrid, scaleLegend } from "./head-grid.js";
import { draw, onWidth } from "./plot.js";
import { colourOf, onTheme, themed } from "./theme.js";
import { walkWithArrows } from "./tokens.js";

const DIRECTION_NAMES = {
  pronoun_to_candidate: "pronoun to candidate",
  candidate_to_pronoun: "candidate to pronoun",
};
const COLOURS = { antecedent: "accent", distractor: "rival" };
const ARC_HEIGHT = 150;
const ARC_POINTS = 65;
const MAP_CELL_HEIGHT = 30;
const ROWS_AT_FIRST = 10;

/** Build the view in its section. */
export function mountCoreferenceView(section, style, record) {
  const state = { row: style.head.row, head: style.head.head, direction: style.direction };
  const scores = () => style.directions[state.direction];
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const sentence = sentenceStrip(style);
  const grid = headGrid(
    record.layers,
    record.numHeads,
    (row, head) => describe(style, scores(), row, head),
    { choose },
  );
  const legend = mapLegend(style);
  const table = rankedTable(record, style, choose);
  const opener = element("button", { type: "button", class: "plain" }, "Open in the head view");
  opener.addEventListener("click", () => {
    openHead(section, record, record.layers[state.row], state.head, "coreference view");
  });
  section.append(
    element("div", { class: "controls" }, [directionControl(state, changeDirection), opener]),
    reading,
    sentence.root,
    element("div", { class: "score-map" }, [element("h3", {}, mapTitle(style)), grid.root, legend]),
    table.root,
  );
  onWidth(grid.picture.parentElement, drawMap);
  onWidth(sentence.root, () => drawArcs());
  onTheme(() => {
    drawMap(grid.picture.parentElement.clientWidth);
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
    drawMap(grid.picture.parentElement.clientWidth);
    update();
  }

  function drawMap(width) {
    grid.root.style.setProperty("--cell-height", `${MAP_CELL_HEIGHT}px`);
    const trace = {
      type: "heatmap",
      z: scores().preference.map((line, row) =>
        scores().observable[row] ? line : line.map(() => null),
      ),
      zmin: style.range[0],
      zmax: style.range[1],
      colorscale: themed(style.scale),
      showscale: false,
      xgap: 2,
      ygap: 2,
      hoverinfo: "skip",
    };
    draw(grid.picture, [trace], {
      x: [-0.5, record.numHeads - 0.5],
      y: [record.numLayers - 0.5, -0.5],
      width,
      height: MAP_CELL_HEIGHT * record.numLayers,
    });
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
  }
  update();
}

function directionControl(state, change) {
  const select = element(
    "select",
    { name: "direction" },
    Object.entries(DIRECTION_NAMES).map(([value, name]) => element("option", { value }, name)),
  );
  select.value = state.direction;
  select.addEventListener("change", () => change(select.value));
  return labelled("Direction", select);
}

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

/** The words on one line, with room for arcs above them; it scrolls sideways if it must. */
function sentenceStrip(style) {
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
      if (shown) shares[index].textContent = shown.weights[index].toFixed(2);
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
    const centres = words.map((word) => word.offsetLeft + word.offsetWidth / 2);
    const origins = centres.filter((_, index) => style.words[index].role === "pronoun");
    const origin = origins.reduce((sum, x) => sum + x, 0) / origins.length;
    const width = line.scrollWidth;
    const farthest = Math.max(...centres.map((x) => Math.abs(x - origin)), 1);
    const traces = weights.flatMap((weight, index) => {
      const { role } = style.words[index];
      if (role === "pronoun" || !(weight >= style.arcThreshold)) return [];
      const colour = colourOf(COLOURS[role] ?? "muted");
      return [arc(origin, centres[index], farthest, weight, colour)];
    });
    draw(picture, traces, { x: [0, width], y: [0, 1], width, height: ARC_HEIGHT });
  }
  return { root, show };
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

/** What stands under each word: at the last word of a candidate, the weight it was scored with. */
function candidateNumbers(style, scores, { row, head }) {
  return style.words.map((_, index) => {
    const candidate = style.candidates.indexOf(index);
    if (candidate < 0 || !scores.observable[row]) return "";
    return cellText(scores.candidates[candidate][row][head]);
  });
}

/** Half an ellipse between two words, higher the farther they are apart. */
function arc(origin, end, farthest, weight, colour) {
  const middle = (origin + end) / 2;
  const radius = (end - origin) / 2;
  const top = 0.12 + 0.8 * Math.sqrt(Math.abs(end - origin) / farthest);
  const angles = Array.from({ length: ARC_POINTS }, (_, i) => (Math.PI * i) / (ARC_POINTS - 1));
  return {
    type: "scatter",
    mode: "lines",
    x: angles.map((angle) => middle - radius * Math.cos(angle)),
    y: angles.map((angle) => top * Math.sin(angle)),
    line: { color: colour, width: 1 + 7 * weight, simplify: false },
    opacity: 0.3 + 0.7 * weight,
    hoverinfo: "skip",
  };
}

/** A number of a table cell; nothing to say is a dash. */
function cellText(value) {
  return value === null ? "–" : value.toFixed(2);
}

function sentenceOf(record, style, scores, { row, head, direction }) {
  const name = headName(record.layers[row], head);
  if (!scores.observable[row]) {
    return `${name}: this direction cannot be observed. The model reads from left to right, and something it would look at comes later.`;
  }
  const pronoun = `“${style.pronoun}”`;
  const given = (candidates, weight) =>
    direction === "pronoun_to_candidate"
      ? `${weight.toFixed(2)} to ${candidates}`
      : `${weight.toFixed(2)} from ${candidates}`;
  const parts = [];
  const antecedent = scores.antecedent[row][head];
  const distractor = scores.distractor[row][head];
  if (antecedent !== null) parts.push(given(style.antecedent, antecedent));
  if (distractor !== null) parts.push(given(style.distractor, distractor));
  const verb = direction === "pronoun_to_candidate" ? "gives" : "gets";
  return `${name}: ${pronoun} ${verb} ${parts.join(", ")}.`;
}

function describe(style, scores, row, head) {
  if (!scores.observable[row]) return "cannot be observed";
  const parts = [];
  const antecedent = scores.antecedent[row][head];
  const distractor = scores.distractor[row][head];
  if (antecedent !== null) parts.push(`${style.antecedent} ${antecedent.toFixed(2)}`);
  if (distractor !== null) parts.push(`${style.distractor} ${distractor.toFixed(2)}`);
  return parts.join(", ");
}

function mapTitle(style) {
  return style.antecedent && style.distractor
    ? `Every head: weight of ${style.antecedent} minus weight of ${style.distractor}`
    : `Every head: weight of ${style.antecedent || style.distractor}`;
}

function mapLegend(style) {
  return style.range[0] < 0
    ? scaleLegend(
        style.scale,
        `${style.distractor} gets more (−1)`,
        `${style.antecedent} gets more (+1)`,
      )
    : scaleLegend(style.scale, "weight 0", "1");
}

/** The heads by preference, ten at first. */
function rankedTable(record, style, choose) {
  const columns = ["rank", "head", "antecedent", "distractor", "difference", "credit"];
  const heading = element(
    "tr",
    {},
    columns.map((name) => element("th", { scope: "col" }, name)),
  );
  const body = element("tbody");
  const more = element("button", { type: "button", class: "plain" });
  const order = style.range[0] < 0 ? "by how much more the antecedent gets" : "by weight";
  const caption = element("caption", {}, `Heads ${order}`);
  let isWhole = false;
  let last = null;
  more.addEventListener("click", () => {
    isWhole = !isWhole;
    show(...last);
  });
  const root = element("div", { class: "ranking" }, [
    element("table", {}, [caption, element("thead", {}, heading), body]),
    more,
  ]);

  function show(scores, state) {
    last = [scores, state];
    // The chosen head is always in sight, whatever its rank.
    const isShown = ([row, head], place) =>
      isWhole || place < ROWS_AT_FIRST || (row === state.row && head === state.head);
    const lines = scores.ranked.flatMap((pair, place) =>
      isShown(pair, place) ? [line(scores, state, ...pair, place)] : [],
    );
    body.replaceChildren(...lines);
    more.hidden = scores.ranked.length <= ROWS_AT_FIRST;
    more.textContent = isWhole ? "Show the first ten" : `Show all ${scores.ranked.length} heads`;
  }

  function line(scores, state, row, head, place) {
    const name = headName(record.layers[row], head);
    const button = element("button", { type: "button", class: "plain" }, name);
    button.addEventListener("click", () => choose(row, head));
    const credit = scores.credit[row][head];
    const cells = [
      element("td", {}, String(place + 1)),
      element("th", { scope: "row" }, button),
      element("td", {}, cellText(scores.antecedent[row][head])),
      element("td", {}, cellText(scores.distractor[row][head])),
      element("td", {}, cellText(style.range[0] < 0 ? scores.preference[row][head] : null)),
      element("td", {}, credit === null ? "–" : String(credit)),
    ];
    const isChosen = row === state.row && head === state.head;
    return element("tr", { "aria-current": isChosen ? "true" : null }, cells);
  }
  return { root, show };
}

// The head view: two columns of tokens, joined by lines.
import { announce, element, figure, headName, labelled } from "./dom.js";
import { headChips } from "./head-chips.js";
import { lineTraces } from "./head-lines.js";
import { draw, onWidth } from "./plot.js";
import { tokenColumn, walkWithArrows } from "./tokens.js";

// Beyond this many heads a bar for each would be thinner than a hair.
const MOST_BARS = 12;

/** Build the view in its section. */
export function mountHeadView(section, style, record) {
  const state = {
    row: record.layers.indexOf(style.layer),
    heads: [...style.heads],
    threshold: style.threshold,
    pinned: style.token,
    pointed: null,
  };
  const queries = tokenColumn(record.queries, "query", style.rowHeight);
  const keys = tokenColumn(record.keys, "key", style.rowHeight);
  const height = Math.max(record.queryLen, record.keyLen) * style.rowHeight;
  const lines = element("div", { class: "lines", style: `height:${height}px` });
  const caption = element("p", { class: "reading", "aria-live": "polite" });
  const layer = layerControl(record, state, update);
  const threshold = thresholdControl(state, update);
  const chips = headChips(style.colours, state.heads, (heads) => {
    state.heads = heads;
    update();
  });
  section.append(
    element("div", { class: "controls" }, [layer.root, threshold]),
    chips.root,
    caption,
    element("div", { class: "head-view" }, [queries.list, lines, keys.list]),
  );
  for (const column of [queries, keys]) {
    walkWithArrows(column.buttons);
    for (const button of column.buttons) followPointer(button, state, update);
  }
  section.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    state.pinned = null;
    state.pointed = null;
    update();
  });
  listenForOpening(section, record, (row, head) => {
    state.row = row;
    layer.show(row);
    chips.show([head]);
  });
  let width = 0;
  onWidth(lines, (now) => {
    width = now;
    update();
  });

  function update() {
    const token = state.pointed ?? state.pinned;
    showNumbers({ record, state, style, token, queries, keys });
    caption.textContent = reading(record, state, token);
    if (width === 0) return;
    const traces = lineTraces(record, state.row, state.heads, token, state.threshold, style);
    const rows = Math.max(record.queryLen, record.keyLen);
    draw(lines, traces, { x: [0, 1], y: [rows - 0.5, -0.5], width, height });
  }
  update();
}

function layerControl(record, state, update) {
  const input = element("input", {
    type: "range",
    name: "layer",
    min: 0,
    max: record.numLayers - 1,
    step: 1,
    value: state.row,
  });
  const output = element("output", {});
  const show = (row) => {
    input.value = String(row);
    input.setAttribute("aria-valuetext", `layer ${record.layers[row]}`);
    output.textContent = String(record.layers[row]);
  };
  input.addEventListener("input", () => {
    state.row = Number(input.value);
    show(state.row);
    update();
  });
  show(state.row);
  return { root: labelled("Layer", input, output), show };
}

function thresholdControl(state, update) {
  const input = element("input", {
    type: "range",
    name: "threshold",
    min: 0,
    max: 1,
    step: 0.01,
    value: state.threshold,
  });
  const output = element("output", {});
  const show = () => {
    output.textContent = state.threshold === 0 ? "none" : figure(state.threshold);
  };
  input.addEventListener("input", () => {
    state.threshold = Number(input.value);
    show();
    update();
  });
  show();
  return labelled("Hide lines under", input, output);
}

/** Pointing or focus shows a token's lines; a click keeps them. */
function followPointer(button, state, update) {
  const token = { side: button.dataset.side, index: Number(button.dataset.tokenIndex) };
  const isSame = (other) => other?.side === token.side && other?.index === token.index;
  const point = () => {
    state.pointed = token;
    update();
  };
  const leave = () => {
    if (!isSame(state.pointed)) return;
    state.pointed = null;
    update();
  };
  button.addEventListener("pointerenter", point);
  button.addEventListener("pointerleave", leave);
  button.addEventListener("focus", () => {
    if (button.matches(":focus-visible")) point();
  });
  button.addEventListener("blur", leave);
  button.addEventListener("click", () => {
    state.pinned = isSame(state.pinned) ? null : token;
    update();
  });
}

/** Beside each token of the other side: its weight, and a bar for each head. */
function showNumbers({ record, state, style, token, queries, keys }) {
  const columns = { query: queries, key: keys };
  for (const [side, column] of Object.entries(columns)) {
    const isOther = token !== null && token !== undefined && token.side !== side;
    column.items.forEach((item, index) => {
      const [number, button, bars] = item.children;
      const isPinned = state.pinned?.side === side && state.pinned?.index === index;
      const isFocal = token?.side === side && token?.index === index;
      button.setAttribute("aria-pressed", String(isPinned));
      button.classList.toggle("focal", isFocal);
      button.style.removeProperty("--weight");
      if (!isOther || state.heads.length === 0) {
        number.textContent = "";
        bars.replaceChildren();
        return;
      }
      const weights = weightsBetween(record, state, token, index);
      const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
      number.textContent = figure(mean);
      number.classList.toggle("strong", mean >= 0.1);
      button.style.setProperty("--weight", Number.isNaN(mean) ? "0" : mean.toFixed(3));
      bars.replaceChildren(...headBars(weights, state.heads, style));
    });
  }
}

function weightsBetween(record, state, token, index) {
  const [query, key] = token.side === "query" ? [token.index, index] : [index, token.index];
  return state.heads.map((head) => record.weight(state.row, head, query, key));
}

function headBars(weights, heads, style) {
  if (heads.length < 2 || heads.length > MOST_BARS) return [];
  return heads.map((head, place) => {
    const bar = element("i", {});
    bar.style.background = style.colours[head];
    bar.style.height = `${Math.round(100 * (weights[place] || 0))}%`;
    return bar;
  });
}

/** What is seen, in a sentence. */
function reading(record, state, token) {
  const layer = record.layers[state.row];
  if (state.heads.length === 0) return "No head is shown. Choose one above.";
  const isOne = state.heads.length === 1;
  const several = `${state.heads.length} heads of layer ${layer}`;
  const shown = isOne ? headName(layer, state.heads[0]) : several;
  if (!token) return `Showing ${shown}. Point at a token for its numbers.`;
  const heads = isOne ? shown : `mean of ${several}`;
  const label = shortened(record.side(token.side).labels[token.index]);
  return token.side === "query"
    ? `Numbers: what “${label}” gives to each token (${heads}).`
    : `Numbers: what each token gives to “${label}” (${heads}).`;
}

/** A label that leaves the sentence around it on its line. */
function shortened(label) {
  const characters = [...label];
  return characters.length <= 24 ? label : `${characters.slice(0, 23).join("")}…`;
}

/** Another view may ask this one to show a head. */
function listenForOpening(section, record, show) {
  document.addEventListener("introspect:open-head", (event) => {
    const { target, layer, head, origin } = event.detail;
    if (target !== section.id) return;
    section.hidden = false;
    show(record.layers.indexOf(layer), head);
    section.querySelector("h2").focus({ preventScroll: true });
    section.scrollIntoView({ block: "start" });
    announce(`${headName(layer, head)}, chosen in the ${origin}, is shown in the head view.`);
  });
}

/** Ask a head view of the same record to show a head: the next one on the page, else the first. */
export function openHead(section, record, layer, head, origin) {
  const own = `section[data-view="head"][data-record="${record.number}"]`;
  const views = [...document.querySelectorAll(own)];
  const follows = (view) =>
    section.compareDocumentPosition(view) & Node.DOCUMENT_POSITION_FOLLOWING;
  const target = views.find(follows) ?? views[0];
  if (!target) return;
  const detail = { target: target.id, layer, head, origin };
  document.dispatchEvent(new CustomEvent("introspect:open-head", { detail }));
}

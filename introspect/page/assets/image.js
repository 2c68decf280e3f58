// The image view: a picture, and over it what one of its patches attends to.
import { below, fitting, oneOf, rowOfLayer } from "./address.js";
import { ARROWS, choice } from "./controls.js";
import { element, figure, headName, labeled } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { imageFigure } from "./image-figure.js";
import { readLink, writeLink } from "./link.js";
import { quantity } from "./numbers.js";
import { colorOf, onTheme } from "./theme.js";
import { walkWithArrows } from "./tokens.js";

// Under this a weight is said to be smaller, not written out.
const SMALLEST = 0.0001;
const MEAN = "mean";
const PICTURE = "The picture as the model saw it";

/** Build the view in its section. */
export function mountImageView(section, style, record) {
  const state = stateOf(style, record, readLink(section.id));
  const canvas = element("canvas", {
    class: "image-layer image-weights",
    width: style.columns,
    height: style.rows,
  });
  const picture = element("img", {
    class: "image-layer image-picture faded",
    src: style.picture,
    alt: PICTURE,
  });
  const patches = patchButtons(style, record);
  const beside = tokensBeside(style, record);
  const reading = element("p", { class: "reading", "aria-live": "polite" });
  const scale = scaleNote();
  const fields = element("div", { class: "controls" }, [
    ...controls(record, state, update),
    colorControl(picture),
    exportButtons("image", () => {
      const weights = weightsOf(record, state, state.token);
      return imageFigure(style, record, state, picture, weights);
    }),
  ]);
  // The picture first; what is said of it stands beside it, or below it where there is no room.
  const said = [reading, scale.root, beside.root, ...section.children, fields];
  section.append(
    element("div", { class: "image-view" }, [
      element("div", { class: "image-stage" }, [picture, canvas, patches.root]),
      element("div", { class: "image-said" }, said),
    ]),
  );
  const stage = section.querySelector(".image-stage");
  stage.style.setProperty("--ratio", `${style.width} / ${style.height}`);
  const buttons = [...patches.buttons, ...beside.buttons];
  for (const button of buttons) followPointer(button, state, update);
  section.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    state.isPinned = false;
    update();
  });

  function update() {
    const weights = weightsOf(record, state, state.token);
    const largest = largestOf(weights.slice(style.first, style.first + style.rows * style.columns));
    paint(canvas, style, weights, largest);
    for (const button of buttons) showState(button, state);
    beside.show(weights);
    reading.textContent = sentence(style, record, state, weights);
    scale.show(style, record, state, largest);
    writeLink(section.id, linkOf(style, record, state));
  }
  update();
  onTheme(update);
}

/** What is shown first: what the address says, else what the view was made with. */
function stateOf(style, record, link) {
  const number = below(record.numHeads);
  const { layer, head, side, token } = fitting(link, {
    layer: rowOfLayer(record.layers),
    head: (text) => (text === MEAN ? MEAN : number(text)),
    side: oneOf(["query", "key"]),
    token: below(record.keyLen),
  });
  const chosen = head ?? style.head ?? MEAN;
  return {
    row: layer ?? record.layers.indexOf(style.layer),
    heads: chosen === MEAN ? allHeads(record) : [chosen],
    side: side ?? style.side,
    token: token ?? style.token,
    isPinned: token !== undefined || style.pinned,
    pointed: null,
  };
}

/** What differs from the view's first state. */
function linkOf(style, record, state) {
  const layer = record.layers[state.row];
  const head = headOf(record, state);
  return {
    layer: layer === style.layer ? null : layer,
    head: head === String(style.head ?? MEAN) ? null : head,
    side: state.side === style.side ? null : state.side,
    token: state.isPinned && state.token !== style.token ? state.token : null,
  };
}

function headOf(record, { heads }) {
  return heads.length === record.numHeads && record.numHeads > 1 ? MEAN : String(heads[0]);
}

function controls(record, state, update) {
  const layer = choice({
    name: "layer",
    label: "Layer",
    options: record.layers.map((number) => [String(number), String(number)]),
    value: String(record.layers[state.row]),
    change: (value) => {
      state.row = record.layers.indexOf(Number(value));
      update();
    },
  });
  const heads = allHeads(record).map((head) => [String(head), String(head)]);
  const head = choice({
    name: "head",
    label: "Head",
    options: [[MEAN, `mean of ${record.numHeads} heads`], ...heads],
    value: headOf(record, state),
    change: (value) => {
      state.heads = value === MEAN ? allHeads(record) : [Number(value)];
      update();
    },
  });
  const side = choice({
    name: "side",
    label: "Show what the patch",
    options: [
      ["query", "attends to"],
      ["key", "is attended by"],
    ],
    value: state.side,
    change: (value) => {
      state.side = value;
      update();
    },
  });
  return [layer.root, head.root, side.root];
}

/** The picture is gray at first, so that its colors are not taken for weights. */
function colorControl(picture) {
  const input = element("input", { type: "checkbox", name: "colors" });
  input.addEventListener("change", () => picture.classList.toggle("faded", !input.checked));
  return labeled("Picture in color", input);
}

/** A button over each patch. Tab enters them once; arrows, Home and End walk. */
function patchButtons(style, record) {
  const buttons = Array.from({ length: style.rows * style.columns }, (_, place) => {
    const button = tokenButton(record, style.first + place, "patch");
    button.addEventListener("keydown", (event) => walk(event, place));
    button.addEventListener("focus", () => enterAt(button));
    return button;
  });

  function enterAt(button) {
    for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
  }

  function walk(event, place) {
    const [row, column] = [Math.floor(place / style.columns), place % style.columns];
    const [down, right] = ARROWS[event.key] ?? [0, 0];
    const isInside =
      row + down >= 0 &&
      row + down < style.rows &&
      column + right >= 0 &&
      column + right < style.columns;
    let target = null;
    if (event.key === "Home") target = 0;
    else if (event.key === "End") target = buttons.length - 1;
    else if ((down || right) && isInside) target = place + down * style.columns + right;
    if (target === null) return;
    event.preventDefault();
    buttons[target].focus();
  }

  enterAt(buttons[style.token - style.first] ?? buttons[0]);
  const name = `Patches: ${style.rows} rows, ${style.columns} columns`;
  const root = element(
    "div",
    { class: "image-layer patches", role: "group", "aria-label": name },
    buttons,
  );
  root.style.setProperty("--rows", String(style.rows));
  root.style.setProperty("--columns", String(style.columns));
  return { root, buttons };
}

/** The tokens that lie nowhere in the picture, each with its weight. */
function tokensBeside(style, record) {
  const last = style.first + style.rows * style.columns;
  const indices = record.queries.labels.map((_, index) => index);
  const outside = indices.filter((index) => index < style.first || index >= last);
  const buttons = outside.map((index) => {
    const button = tokenButton(record, index, "token");
    button.append(element("bdi", {}, record.queries.labels[index]));
    return button;
  });
  const numbers = buttons.map(() => element("span", { class: "number", "aria-hidden": "true" }));
  const items = buttons.map((button, place) =>
    element("li", { class: "beside-item" }, [button, numbers[place]]),
  );
  walkWithArrows(buttons);
  const show = (weights) => {
    outside.forEach((index, place) => {
      numbers[place].textContent = precise(weights[index]);
      numbers[place].classList.toggle("strong", weights[index] >= 0.1);
    });
  };
  return { root: element("ul", { class: "beside" }, items), buttons, show };
}

function tokenButton(record, index, kind) {
  const note = record.queries.special[index] ? ", special token" : "";
  return element("button", {
    type: "button",
    class: kind,
    "data-token-index": index,
    "data-special": note ? "true" : null,
    "aria-label": `${record.queries.labels[index]}${note}`,
  });
}

/**
 * Pointing or focus shows what a patch attends to. A click keeps it; from then on pointing at another
 * one asks for the weight between the two.
 */
function followPointer(button, state, update) {
  const index = Number(button.dataset.tokenIndex);
  const point = () => {
    state.pointed = index;
    if (!state.isPinned) state.token = index;
    update();
  };
  const leave = () => {
    if (state.pointed !== index) return;
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
    state.isPinned = !(state.isPinned && state.token === index);
    state.token = index;
    update();
  });
}

function showState(button, state) {
  const isChosen = Number(button.dataset.tokenIndex) === state.token;
  button.dataset.side = state.side;
  button.classList.toggle("focal", isChosen);
  button.setAttribute("aria-pressed", String(isChosen && state.isPinned));
}

function allHeads(record) {
  return Array.from({ length: record.numHeads }, (_, head) => head);
}

/** What a token gives to each, or gets from each, in the mean over the shown heads. */
function weightsOf(record, state, token) {
  return Array.from({ length: record.keyLen }, (_, other) => {
    const [query, key] = state.side === "query" ? [token, other] : [other, token];
    const weights = state.heads.map((head) => record.weight(state.row, head, query, key));
    return weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  });
}

/** The largest number; 0 where all are missing. */
function largestOf(weights) {
  return Math.max(0, ...weights.filter((weight) => !Number.isNaN(weight)));
}

/** One point of the canvas for each patch: the accent, the more opaque the larger the weight. */
function paint(canvas, style, weights, largest) {
  const brush = canvas.getContext("2d");
  brush.clearRect(0, 0, style.columns, style.rows);
  brush.fillStyle = colorOf("accent");
  for (let place = 0; place < style.rows * style.columns; place += 1) {
    const share = largest > 0 ? weights[style.first + place] / largest : 0;
    brush.globalAlpha = style.opacity * (share || 0);
    brush.fillRect(place % style.columns, Math.floor(place / style.columns), 1, 1);
  }
}

/** A weight; a patch among hundreds gets little, so small ones keep more digits. */
function precise(weight) {
  if (Number.isNaN(weight) || weight === 0 || weight >= 0.1) return figure(weight);
  return weight < SMALLEST ? `under ${quantity(SMALLEST)}` : quantity(weight);
}

/** r3c5 → r2c2: 0.12; weight to [CLS]: 0.40. */
function sentence(style, record, state, weights) {
  const { labels } = record.queries;
  const isPair = state.isPinned && state.pointed !== null && state.pointed !== state.token;
  const other = isPair ? state.pointed : strongestPatch(style, weights);
  const [from, to] = state.side === "query" ? [state.token, other] : [other, state.token];
  const pair = `${labels[from]} → ${labels[to]}: ${precise(weights[other])}`;
  const first = isPair ? pair : `${pair}, the largest among patches`;
  const special = record.queries.special.findIndex((flag, index) => flag && index !== state.token);
  if (special < 0) return `${first}.`;
  const way = state.side === "query" ? "to" : "from";
  return `${first}; weight ${way} ${labels[special]}: ${precise(weights[special])}.`;
}

function strongestPatch(style, weights) {
  let best = style.first;
  for (let index = best; index < style.first + style.rows * style.columns; index += 1) {
    if (weights[index] > weights[best] || Number.isNaN(weights[best])) best = index;
  }
  return best;
}

/** What full color means, in words with its number. */
function scaleNote() {
  const words = element("span", { class: "scale-words" });
  const bar = element("i", { class: "scale image-scale" });
  const root = element("p", { class: "legend image-legend" }, ["0", bar, words]);
  const show = (style, record, state, largest) => {
    const end = `color-mix(in srgb, var(--accent) ${style.opacity * 100}%, transparent)`;
    bar.style.background = `linear-gradient(to right, transparent, ${end})`;
    const layer = record.layers[state.row];
    const one = headName(layer, state.heads[0]);
    const heads =
      state.heads.length === 1 ? one : `mean of ${state.heads.length} heads of layer ${layer}`;
    const label = record.queries.labels[state.token];
    const way = state.side === "query" ? `from ${label} to a patch` : `from a patch to ${label}`;
    words.textContent = `Full color is ${precise(largest)}, the largest weight ${way} (${heads}).`;
  };
  return { root, show };
}

// The two sides of a head view: tokens that can be pointed at, pinned and searched, with numbers.
import { element, figure } from "./dom.js";
import { foldedRows, MOST_WHOLE, tokensOfLines, tokensWithWeight } from "./head-folds.js";
import { counted } from "./numbers.js";
import { themed } from "./theme.js";
import { tokenItem } from "./tokens.js";

// Beyond this many heads a bar for each would be thinner than a hair.
const MOST_BARS = 12;
const BAR_WIDTH = 4;
const STRONG = 0.1;
const FAINT = 0.01;
// Where one looks in a long text, so many tokens to either side have rows.
const NEIGHBORS = 10;

/** One side: its rows, of which those that are seen are made when they first are. */
class TokenSide {
  constructor(side, state, rowHeight) {
    Object.assign(this, { side, state, rowHeight });
    const { pattern } = state;
    this.sequence = side === "query" ? pattern.queries : pattern.keys;
    this.all = state.shown(side);
    this.isLong = this.all.length > MOST_WHOLE;
    this.items = new Map();
    this.folds = new Map();
    this.opened = [];
    this.looked = [];
    this.found = new Set();
    this.strengths = null;
    this.rows = [];
    this.shown = [];
    this.list = element("ol", { class: `tokens ${side}` });
  }

  /** The row of a token. */
  item(index) {
    if (!this.items.has(index)) {
      const item = tokenItem(this.sequence, this.side, index, this.rowHeight);
      this.items.set(index, item);
      item.children[1].tabIndex = -1;
      item.children[1].classList.toggle("found", this.found.has(index));
    }
    return this.items.get(index);
  }

  /** The row that stands for tokens that are folded, or that folds them again. */
  fold(tokens, isOpened) {
    const name = `${isOpened} ${tokens[0]} ${tokens.length}`;
    if (!this.folds.has(name)) {
      const many = counted(tokens.length, "token");
      const words = isOpened ? `fold ${many}` : `… ${many} …`;
      const said = isOpened ? `Fold ${many} again` : `Show ${many} that are folded here`;
      const button = element("button", { type: "button", class: "fold", tabindex: -1 }, words);
      button.setAttribute("aria-label", said);
      button.setAttribute("aria-expanded", String(isOpened));
      button.dataset.fold = name;
      const item = element("li", { class: "fold-row", style: `--row:${this.rowHeight}px` }, button);
      this.folds.set(name, { item, tokens, isOpened });
    }
    return this.folds.get(name).item;
  }

  /** Open a fold, or close it again. */
  turn(name) {
    const { tokens, isOpened } = this.folds.get(name);
    this.opened = isOpened
      ? this.opened.filter((one) => one !== tokens)
      : [...this.opened, tokens].sort(([a], [b]) => a - b);
  }

  /** A place of the text, with its neighbors, has rows from now on. */
  lookAt(place) {
    this.looked = this.all.slice(Math.max(place - NEIGHBORS, 0), place + NEIGHBORS + 1);
    this.isTurned = true;
  }

  /** What was asked for is folded again. */
  foldAll() {
    this.opened = [];
    this.looked = [];
  }

  /** Show these rows; what stays is not touched, so that focus stays where it is. */
  arrange(rows) {
    this.rows = rows;
    this.shown = rows.flatMap(({ token }) => (token === undefined ? [] : [token]));
    const { list } = this;
    const items = rows.map(({ token, folded, opened }) =>
      token === undefined ? this.fold(folded ?? opened, !folded) : this.item(token),
    );
    const kept = new Set(items);
    for (const child of [...list.children]) if (!kept.has(child)) child.remove();
    let next = list.firstElementChild;
    for (const item of items) {
      if (item === next) next = next.nextElementSibling;
      else list.insertBefore(item, next);
    }
    if (!list.querySelector('button[tabindex="0"]')) enterAt(list, list.querySelector("button"));
  }
}

/** Both sides, with what follows the pointer. */
export function tokenSides(state, style, update, before = null) {
  const sides = Object.fromEntries(
    ["query", "key"].map((side) => [side, new TokenSide(side, state, style.rowHeight)]),
  );
  for (const [side, column] of Object.entries(sides)) {
    // Of other weights the tokens are the same.
    if (before?.[side].sequence === column.sequence) column.items = before[side].items;
  }
  for (const column of Object.values(sides)) follow(column, state, update);
  return sides;
}

/** Lay out the rows of both sides: all of a short text, of a long one those with weight. */
export function layOut(state, sides) {
  for (const [side, column] of Object.entries(sides)) {
    column.strengths = strengthsOn(state, side, column.all);
    if (!column.isLong) {
      if (column.rows.length === 0) column.arrange(column.all.map((token) => ({ token })));
      continue;
    }
    // Under the pointer nothing moves.
    if (column.rows.length > 0 && state.pointed?.side === side && !column.isTurned) continue;
    column.isTurned = false;
    const own = state.focal.filter((token) => token.side === side).map(({ index }) => index);
    const pins = state.pins.filter((token) => token.side === side).map(({ index }) => index);
    // Pointing to a token is to show where its weight is, and nothing else.
    const looked = state.pointed ? [] : column.looked;
    const kept = [...own, ...pins, ...column.found, ...looked];
    column.arrange(foldedRows(column.all, kept, wanted(state, column), column.opened));
  }
}

/** What each token of a side shares with those pointed at or pinned, of what counts as all; or null. */
function strengthsOn(state, side, tokens) {
  const sources = state.focal.filter((token) => token.side !== side).map(({ index }) => index);
  if (sources.length === 0 || state.drawn.length === 0) return null;
  const { scale } = state;
  return Float64Array.from(tokens, (index) => summed(state, side, sources, index) / scale);
}

/** The tokens of a long side that are worth a row, first the foremost. */
function wanted(state, { side, all, strengths }) {
  const lines = () => ofLines(state)[side];
  if (!strengths) return lines();
  const found = tokensWithWeight(all, strengths);
  return found.length > 0 ? found : lines();
}

const known = new WeakMap();

/** The tokens of the strongest lines; worked out once for each choice. */
function ofLines(state) {
  const { layer, drawn, granularity, weights, combine, filter } = state;
  const name = [layer, drawn, granularity, weights, combine, filter].join(" ");
  if (known.get(state)?.name !== name) known.set(state, { name, tokens: tokensOfLines(state) });
  return known.get(state).tokens;
}

function enterAt(list, button) {
  for (const other of list.querySelectorAll('button[tabindex="0"]')) other.tabIndex = -1;
  if (button) button.tabIndex = 0;
}

function tokenOf(target) {
  const button = target?.closest?.(".token");
  return button && { side: button.dataset.side, index: Number(button.dataset.tokenIndex) };
}

/**
 * Pointing or focus shows a token's lines; a click keeps them, several add up. Tab enters a side
 * once; with Shift the arrows walk in it, and Home and End go to its ends.
 */
function follow(column, state, update) {
  const { list } = column;
  const isSame = (one, other) => one?.side === other?.side && one?.index === other?.index;
  const point = (token) => {
    if (!token || isSame(token, state.pointed)) return;
    state.pointed = token;
    update();
  };
  const leave = (token) => {
    if (!token || !isSame(token, state.pointed)) return;
    state.pointed = null;
    // The pointer comes to the next token at once.
    update(true);
  };
  list.addEventListener("pointerover", ({ target }) => point(tokenOf(target)));
  list.addEventListener("pointerout", ({ target, relatedTarget }) => {
    const token = tokenOf(target);
    if (!isSame(token, tokenOf(relatedTarget))) leave(token);
  });
  list.addEventListener("focusin", ({ target }) => {
    enterAt(list, target);
    if (target.matches(":focus-visible")) point(tokenOf(target));
  });
  list.addEventListener("focusout", ({ target }) => leave(tokenOf(target)));
  list.addEventListener("click", ({ target }) => {
    const fold = target.closest(".fold");
    if (fold) {
      openFold(column, fold, update);
      return;
    }
    const token = tokenOf(target);
    if (!token) return;
    const isPinned = state.pins.some((pin) => isSame(pin, token));
    state.pins = isPinned
      ? state.pins.filter((pin) => !isSame(pin, token))
      : [...state.pins, token];
    // What was just kept or let go shows at once what is pinned now.
    state.pointed = null;
    update(false, true);
  });
  list.addEventListener("keydown", (event) => walk(event, list, state.layout));
}

function openFold(column, button, update) {
  const { tokens, isOpened } = column.folds.get(button.dataset.fold);
  column.turn(button.dataset.fold);
  column.isTurned = true;
  update();
  const first = isOpened ? column.fold(tokens, false) : column.item(tokens[0]);
  first.querySelector("button")?.focus({ preventScroll: true });
}

function walk(event, list, layout) {
  const buttons = [...list.querySelectorAll("button")];
  const place = buttons.indexOf(event.target);
  const [back, forth] =
    layout === "horizontal" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
  const steps = event.shiftKey ? { [back]: place - 1, [forth]: place + 1 } : {};
  const next = { ...steps, Home: 0, End: buttons.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  // Elsewhere the arrows change layer and head.
  event.stopPropagation();
  buttons[Math.min(Math.max(next, 0), buttons.length - 1)].focus();
}

/** Beside each token of the other side: its weight, and a bar for each head. */
export function showNumbers(state, style, sides) {
  const colors = themed(style.colors);
  // Asked once: there may be hundreds of tokens, and each of these is worked out.
  const { heads, pattern, row, scale, number: meaning, isCombined } = state;
  const hasBars = !isCombined && heads.length >= 2 && heads.length <= MOST_BARS;
  const bars = hasBars ? { heads, pattern, row, scale, colors } : null;
  const isNoneDrawn = state.drawn.length === 0;
  for (const [side, column] of Object.entries(sides)) {
    const sources = state.focal.filter((token) => token.side !== side).map((t) => t.index);
    const pins = new Set(state.pins.filter((pin) => pin.side === side).map((pin) => pin.index));
    const focal = new Set(state.focal.filter((t) => t.side === side).map((t) => t.index));
    for (const index of column.shown) {
      const [number, button, strip] = column.item(index).children;
      setAttribute(button, "aria-pressed", String(pins.has(index)));
      button.classList.toggle("focal", focal.has(index));
      const isBlank = sources.length === 0 || isNoneDrawn;
      const weight = isBlank ? null : summed(state, side, sources, index);
      showWeight(number, button, weight, scale);
      setAttribute(number, "title", weight === null ? "" : meaning);
      strip.style.background = isBlank || !bars ? "" : barsOf(bars, side, sources, index);
    }
  }
}

/** The weight between a token and all focal tokens of the other side. */
function summed(state, side, sources, index) {
  let sum = 0;
  for (const source of sources) {
    sum += side === "key" ? state.together(source, index) : state.together(index, source);
  }
  return sum;
}

function showWeight(number, button, weight, scale) {
  const text = weight === null ? "" : figure(weight);
  if (number.textContent !== text) number.textContent = text;
  const name = button.dataset.name;
  setAttribute(button, "aria-label", text === "" ? name : `${name}, ${text}`);
  const part = weight / scale;
  number.classList.toggle("strong", part >= STRONG);
  const shade = weight === null || Number.isNaN(weight) ? 0 : Math.min(part, 1);
  if (shade < 0.005) button.style.removeProperty("--weight");
  else button.style.setProperty("--weight", shade.toFixed(3));
}

/** A bar for each head, as a background: one element, however many heads. */
function barsOf({ heads, pattern, row, scale, colors }, side, sources, index) {
  return heads
    .map((head, place) => {
      let weight = 0;
      for (const source of sources) {
        const [query, key] = side === "key" ? [source, index] : [index, source];
        weight += pattern.weight(row, head, query, key) / scale || 0;
      }
      // From a weight that would be drawn at all, a bar is high enough to be seen.
      const height = weight < FAINT ? 0 : Math.max(8, Math.round(100 * Math.min(weight, 1)));
      const left = place * (BAR_WIDTH + 1);
      const fill = `linear-gradient(${colors[head]}, ${colors[head]})`;
      return `${fill} ${left}px 100% / ${BAR_WIDTH}px ${height}% no-repeat`;
    })
    .join(", ");
}

/** How wide the bars stand, so that nothing moves when they appear. */
export function barsWidth(state) {
  const { length } = state.heads;
  const has = !state.isCombined && length >= 2 && length <= MOST_BARS;
  return has ? length * (BAR_WIDTH + 1) : 0;
}

function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** Mark the tokens that a search finds, which have a row from now on; the number of them. */
export function markFound(sides, sought) {
  let count = 0;
  const wanted = sought.trim().toLocaleLowerCase();
  for (const column of Object.values(sides)) {
    const { labels } = column.sequence;
    const isFound = (index) => labels[index].toLocaleLowerCase().includes(wanted);
    column.found = new Set(wanted === "" ? [] : column.all.filter(isFound));
    for (const [index, item] of column.items) {
      item.children[1].classList.toggle("found", column.found.has(index));
    }
    count += column.found.size;
  }
  return count;
}

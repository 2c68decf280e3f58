// The two sides of a head view: tokens that can be pointed at, pinned and searched, with numbers.
import { figure } from "./dom.js";
import { themed } from "./theme.js";
import { tokenColumn } from "./tokens.js";

// Beyond this many heads a bar for each would be thinner than a hair.
const MOST_BARS = 12;
const BAR_WIDTH = 4;
const STRONG = 0.1;
const FAINT = 0.01;

/** Both sides, with what follows the pointer. */
export function tokenSides(state, style, update) {
  const { pattern } = state;
  const sides = {
    query: tokenColumn(pattern.queries, "query", style.rowHeight),
    key: tokenColumn(pattern.keys, "key", style.rowHeight),
  };
  for (const [side, column] of Object.entries(sides)) {
    column.shown = state.shown(side);
    const kept = new Set(column.shown);
    column.items.forEach((item, index) => {
      item.hidden = !kept.has(index);
    });
    for (const button of column.buttons) follow(button, column.buttons, state, update);
  }
  return sides;
}

/** Pointing or focus shows a token's lines; a click keeps them, several add up. */
function follow(button, buttons, state, update) {
  const token = { side: button.dataset.side, index: Number(button.dataset.tokenIndex) };
  const isSame = (other) => other?.side === token.side && other?.index === token.index;
  const point = () => {
    state.pointed = token;
    update();
  };
  const leave = () => {
    if (!isSame(state.pointed)) return;
    state.pointed = null;
    // The pointer comes to the next token at once.
    update(true);
  };
  button.addEventListener("pointerenter", point);
  button.addEventListener("pointerleave", leave);
  button.addEventListener("focus", () => {
    if (button.matches(":focus-visible")) point();
  });
  button.addEventListener("blur", leave);
  button.addEventListener("click", () => {
    const isPinned = state.pins.some(isSame);
    state.pins = isPinned ? state.pins.filter((pin) => !isSame(pin)) : [...state.pins, token];
    // What was just kept or let go shows at once what is pinned now.
    state.pointed = null;
    update(false, true);
  });
  button.addEventListener("keydown", (event) => {
    const end = { Home: buttons[0], End: buttons.at(-1) }[event.key];
    if (!end) return;
    event.preventDefault();
    end.focus();
  });
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
      const [number, button, strip] = column.items[index].children;
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

/** Mark the tokens that a search finds; the number of them. */
export function markFound(sides, sought) {
  let count = 0;
  const wanted = sought.trim().toLocaleLowerCase();
  for (const { buttons, shown } of Object.values(sides)) {
    for (const index of shown) {
      const text = buttons[index].textContent.toLocaleLowerCase();
      const isFound = wanted !== "" && text.includes(wanted);
      buttons[index].classList.toggle("found", isFound);
      count += Number(isFound);
    }
  }
  return count;
}

// A column of tokens: real text, reachable by keyboard, isolated from its neighbors' direction.
import { element } from "./dom.js";

/** A token: its label, the side it is on, its index there, and what else is known of it. */
export function tokenButton(label, side, index, { isSpecial, isUnknown, note = null }) {
  const notes = [note];
  if (isSpecial) notes.push("special token");
  if (isUnknown) notes.push("unknown to the model");
  const name = [label, ...notes].filter((part) => part !== null).join(", ");
  const button = element("button", {
    type: "button",
    class: "token",
    "data-side": side,
    "data-token-index": index,
    "data-special": isSpecial ? "true" : null,
    "data-unknown": isUnknown ? "true" : null,
    "data-noted": note ? "true" : null,
    "aria-pressed": "false",
    "aria-label": `${side} ${index}: ${name}`,
    "data-name": `${side} ${index}: ${name}`,
    title: name,
  });
  button.append(element("bdi", {}, label));
  return button;
}

/** The row of a token: room for a number, its button, and room for bars. */
export function tokenItem(sequence, side, index, rowHeight) {
  const button = tokenButton(sequence.labels[index], side, index, {
    isSpecial: sequence.special[index],
    isUnknown: sequence.unknown[index],
  });
  const hidden = { "aria-hidden": "true" };
  return element("li", { style: `--row:${rowHeight}px` }, [
    element("span", { class: "number", ...hidden }),
    button,
    element("span", { class: "bars", ...hidden }),
  ]);
}

/**
 * The tokens of one side, each a button in a row of its own.
 * Returns the list element and the buttons.
 */
export function tokenColumn(sequence, side, rowHeight) {
  const items = sequence.labels.map((_, index) => tokenItem(sequence, side, index, rowHeight));
  const list = element("ol", { class: `tokens ${side}` }, items);
  return { list, buttons: items.map((item) => item.children[1]), items };
}

/**
 * Tab enters a list of buttons once; arrows, Home and End walk in it, in the order in which they
 * stand by then.
 * @returns {(button: Element) => void} makes Tab enter at one of them
 */
export function walkWithArrows(buttons, [back, forth] = ["ArrowUp", "ArrowDown"]) {
  let entered = null;
  const enter = (button) => {
    if (entered) entered.tabIndex = -1;
    entered = button ?? null;
    if (entered) entered.tabIndex = 0;
  };
  const walk = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const seen = buttons.filter((one) => !one.closest("[hidden]")).sort(inDocument);
    const place = seen.indexOf(event.currentTarget);
    const steps = { [back]: place - 1, [forth]: place + 1, Home: 0, End: seen.length - 1 };
    const target = steps[event.key];
    if (target === undefined) return;
    event.preventDefault();
    seen[Math.min(Math.max(target, 0), seen.length - 1)].focus();
  };
  for (const button of buttons) {
    button.tabIndex = -1;
    button.addEventListener("focus", () => enter(button));
    button.addEventListener("keydown", walk);
  }
  enter(buttons[0]);
  return enter;
}

function inDocument(one, other) {
  return one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1;
}

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

/** Tab enters a list of tokens once; arrows, Home and End walk in it. */
export function walkWithArrows(buttons, [back, forth] = ["ArrowUp", "ArrowDown"]) {
  buttons.forEach((button, index) => {
    button.tabIndex = index === 0 ? 0 : -1;
    button.addEventListener("focus", () => {
      for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      const target = {
        [back]: index - 1,
        [forth]: index + 1,
        Home: 0,
        End: buttons.length - 1,
      }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      buttons[Math.min(Math.max(target, 0), buttons.length - 1)].focus();
    });
  });
}

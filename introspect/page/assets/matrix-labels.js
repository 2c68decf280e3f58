// The tokens along a side of a matrix: real text, as many as there is room for.
import { lengthOf } from "./block.js";
import { element, figure } from "./dom.js";
import { tokenButton, walkWithArrows } from "./tokens.js";

const LABEL_HEIGHT = 11;
const LARGEST_BREADTH = 28;
const LEAST_ROOM = 52;
/** How much room the labels of a side take, in pixels. */
export const MOST_ROOM = 130;
const WALKS = { query: ["ArrowUp", "ArrowDown"], key: ["ArrowLeft", "ArrowRight"] };

/** How much room the labels of a side need, so that it does not change with the block. */
export function roomFor(labels, most = MOST_ROOM) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `14px ${getComputedStyle(document.body).fontFamily}`;
  const widths = labels.map((label) => context.measureText(label ?? "").width);
  const widest = widths.reduce((most, width) => Math.max(most, width), 0);
  return Math.ceil(Math.min(Math.max(widest + 14, LEAST_ROOM), most));
}

/** The tokens of one side, "query" or "key", of a matrix. */
export class MatrixLabels {
  /**
   * @param {object} axis as `MatrixPanel` is given it
   * @param {{point: Function, press: Function}} acts point(position or null), press(position, event)
   */
  constructor(side, axis, acts, most = MOST_ROOM) {
    Object.assign(this, { side, axis, acts, room: roomFor(axis.labels, most) });
    this.root = element("div", {
      class: `matrix-labels ${side}`,
      role: "group",
      "aria-label": side === "query" ? "Queries" : "Keys",
    });
  }

  /** A label for each token of a range, or for each second, third, … where they are small. */
  show(range, cell) {
    const shown = [...range, cell].join(" ");
    if (this.root.dataset.shown === shown) return;
    this.root.dataset.shown = shown;
    const step = Math.ceil(LABEL_HEIGHT / cell);
    const buttons = [];
    const hasRoom = (position) => (range[1] + 1 - position) * cell >= LABEL_HEIGHT - 0.5;
    // The last one must not reach over the edge, where it would be cut.
    for (let position = range[0]; position <= range[1] && hasRoom(position); position += step) {
      const button = this.label(position);
      if (button) buttons.push(button);
    }
    for (const button of buttons) place(button, range, cell, step);
    walkWithArrows(buttons, WALKS[this.side]);
    const extent = `${Math.round(lengthOf(range) * cell)}px`;
    this.root.style[this.side === "query" ? "height" : "width"] = extent;
    this.root.replaceChildren(...buttons);
  }

  /** A token of the axis; null where it has none. */
  label(position) {
    const { axis, acts, side } = this;
    const label = axis.labels[position];
    const index = axis.tokens[position];
    if (label === null || index === null) return null;
    const button = tokenButton(label, side, index, {
      isSpecial: axis.special[position],
      isUnknown: axis.unknown[position],
      isGenerated: axis.generated?.[position],
      note: axis.notes?.[position],
    });
    button.dataset.position = position;
    for (const enter of ["pointerenter", "focus"]) {
      button.addEventListener(enter, () => acts.point(position));
    }
    for (const leave of ["pointerleave", "blur"]) {
      button.addEventListener(leave, ({ pointerType }) => {
        if (pointerType !== "touch") acts.point(null);
      });
    }
    button.addEventListener("click", (event) => acts.press(position, event));
    return button;
  }

  /** Show which token is pointed at. */
  point(position) {
    for (const button of this.root.children) {
      button.classList.toggle("focal", Number(button.dataset.position) === position);
    }
  }

  /** Put a number of each token into its name; null for none. */
  tell(numberOf) {
    for (const button of this.root.children) {
      const { name, position } = button.dataset;
      const number = numberOf ? `, ${figure(numberOf(Number(position)))}` : "";
      button.setAttribute("aria-label", `${name}${number}`);
    }
  }

  /** Mark tokens as pressed: those whose positions are given. */
  press(positions) {
    for (const button of this.root.children) {
      const isPressed = positions.includes(Number(button.dataset.position));
      button.setAttribute("aria-pressed", String(isPressed));
    }
  }
}

function place(button, [first], cell, step) {
  const position = Number(button.dataset.position);
  const inset = Math.max(0, (cell - LARGEST_BREADTH) / 2);
  button.style.setProperty("--start", `${(position - first) * cell + inset}px`);
  button.style.setProperty("--breadth", `${Math.min(cell * Math.max(step, 1), LARGEST_BREADTH)}px`);
  button.style.fontSize = `${Math.min(14, Math.max(10, Math.min(cell * step, 28) - 3))}px`;
}

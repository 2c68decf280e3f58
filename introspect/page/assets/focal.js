// One query token and one head: the choice that the neuron and steps views share.
import { ARROWS, choice, slider } from "./controls.js";
import { announce, element, figure, headName } from "./dom.js";
import { selectionOf } from "./selection.js";
import { tokenColumn, walkWithArrows } from "./tokens.js";

/** The state of such a view, with its controls; `show` is called after every change. */
export class Focus {
  constructor(section, style, record, show) {
    Object.assign(this, { section, style, record, show });
    this.row = record.layers.indexOf(style.layer);
    this.head = style.head;
    this.token = style.token;
    this.layerControl = slider({
      name: "layer",
      label: "Layer",
      min: 0,
      max: record.numLayers - 1,
      step: 1,
      value: this.row,
      say: (row) => String(record.layers[row]),
      change: (row) => this.set({ row }),
    });
    this.headControl = choice({
      name: "head",
      label: "Head",
      options: Array.from({ length: record.numHeads }, (_, head) => [String(head), `H${head}`]),
      value: String(this.head),
      change: (head) => this.set({ head: Number(head) }),
    });
    this.controls = [this.layerControl.root, this.headControl.root];
    this.column = tokenColumn(record.queries, "query", style.rowHeight);
    for (const [index, button] of this.column.buttons.entries()) {
      button.addEventListener("click", () => this.set({ token: index }));
      button.addEventListener("focus", () => {
        if (button.matches(":focus-visible")) this.set({ token: index });
      });
    }
    this.enter = walkWithArrows(this.column.buttons);
    section.addEventListener("keydown", (event) => this.onKey(event));
    const { row, head, token: query } = this;
    this.selection = selectionOf(record, { row, head, query });
    this.take = (changed) => this.follow(changed);
    // A view that is being made is not drawn yet.
    queueMicrotask(() => this.selection.follow(this.take));
  }

  /** What was chosen elsewhere on the page. */
  follow({ row = this.row, head = this.head, query }) {
    const token = query ?? this.token;
    if (row !== this.row || head !== this.head || token !== this.token) {
      this.apply({ row, head, token });
    }
  }

  get name() {
    return headName(this.record.layers[this.row], this.head);
  }

  /** Whether the page has the numbers of the head; where not, the caption says so instead. */
  isHere(caption, body) {
    const { record, style, row, head, name } = this;
    const isHere = record.holds(row, head);
    body.hidden = !isHere;
    if (!isHere) {
      caption.textContent = `${name} is not in this page, which holds ${style.held}. Give heads= (in a terminal --head) for others.`;
    }
    return isHere;
  }

  /** The head of a part: keys and values may be shared by several. */
  headOf(part) {
    return Math.floor((this.head * this.record.partHeads(part)) / this.record.numHeads);
  }

  /** All vectors of a part for this head, a list for each token. */
  vectors(part, length) {
    const head = this.headOf(part);
    return Array.from({ length }, (_, token) => this.record.vector(part, this.row, head, token));
  }

  weights() {
    const { record, row, head, token } = this;
    return Array.from({ length: record.keyLen }, (_, key) => record.weight(row, head, token, key));
  }

  set(change) {
    this.apply(change);
    const { row, head, token } = this;
    this.selection.set({ row, head, ...("token" in change ? { query: token } : {}) }, this.take);
  }

  apply(change) {
    Object.assign(this, change);
    this.layerControl.show(this.row);
    this.headControl.show(String(this.head));
    this.mark();
    this.show();
  }

  mark() {
    for (const [index, button] of this.column.buttons.entries()) {
      button.setAttribute("aria-pressed", String(index === this.token));
    }
    this.enter(this.column.buttons[this.token]);
  }

  /** Arrows change layer and head; in the list of tokens those up and down walk from one to another. */
  onKey(event) {
    if (event.defaultPrevented || event.target.closest("input, select") || !ARROWS[event.key])
      return;
    event.preventDefault();
    const [down, right] = ARROWS[event.key];
    const within = (value, end) => Math.min(Math.max(value, 0), end - 1);
    this.set({
      row: within(this.row + down, this.record.numLayers),
      head: within(this.head + right, this.record.numHeads),
    });
    announce(`${this.name}.`);
  }
}

/** A column of a table over the keys, with its heading. */
export function stepColumn(title, note, content) {
  return element("div", { class: "step" }, [
    element("h3", {}, title),
    element("p", { class: "note" }, note),
    ...[content].flat(),
  ]);
}

/** Key tokens that only name their rows. */
export function keyNames(record, rowHeight) {
  const { list, buttons } = tokenColumn(record.keys, "key", rowHeight);
  for (const button of buttons) button.tabIndex = -1;
  return { list, buttons };
}

/**
 * Fill a list with numbers, with a bar behind each: from the left, or in a list of signed ones from
 * its middle.
 * @param {(value: number) => number} share how much of the room a number's bar takes
 * @param {string} missing what is said for a number that is not there
 */
export function fillNumbers(list, values, { rowHeight, share = () => 0, missing = "missing" }) {
  const made = Array.from({ length: Math.max(values.length - list.children.length, 0) }, () =>
    element("li", { style: `--row:${rowHeight}px` }),
  );
  list.append(...made);
  values.forEach((value, place) => {
    const isMissing = Number.isNaN(value);
    const item = list.children[place];
    const text = isMissing ? missing : figure(value);
    // Most numbers stay what they are: what is not written anew is not laid out anew.
    if (item.textContent !== text) item.textContent = text;
    const size = isMissing ? "0" : Math.abs(share(value)).toFixed(3);
    if (item.style.getPropertyValue("--share") !== size) item.style.setProperty("--share", size);
    item.classList.toggle("negative", value < 0);
  });
}

// The layer view: one token's attention to every token, layer by layer.
import { choice, scaleChoice } from "./controls.js";
import { element, figure, labeled } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { scaleLegend } from "./head-grid.js";
import { layerFigure } from "./layer-figure.js";
import { LayerNumbers, largestPlace } from "./layer-numbers.js";
import { LayerState, SIDES, WAYS } from "./layer-state.js";
import { LayerTable } from "./layer-table.js";
import { LayerWords } from "./layer-words.js";
import { readLink, writeLink } from "./link.js";
import { bringAllIn, listMap, mapped } from "./minimap.js";
import { signMore } from "./more.js";
import { beforeFrame, onWidth, whenOnScreen } from "./plot.js";
import { selectionOf } from "./selection.js";
import { onTheme } from "./theme.js";
import { tokenColumn, walkWithArrows } from "./tokens.js";
import { fittingWeights, loadMethods, weighingChoice, weightsWords } from "./weighings.js";

/** Build the view in its section. */
export async function mountLayerView(section, style, record) {
  await loadMethods(record);
  const view = new LayerView(section, style, record);
  view.build();
}

class LayerView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.state = new LayerState(style, record);
    this.state.fromLink(readLink(section.id));
    this.numbers = new LayerNumbers(this.state, record);
    this.words = new LayerWords(this.state, this.numbers);
    this.table = new LayerTable(this.state, {
      choose: (index) => this.choose(index),
      point: (place) => this.point(place),
    });
    this.width = 0;
  }

  build() {
    const { section, style } = this;
    this.text = element("div", { class: "layer-text" });
    this.reading = element("p", { class: "reading", "aria-live": "polite" });
    this.place = signMore(element("div", { class: "layer-scroller" }, this.table.root));
    this.map = listMap({
      list: this.table.root,
      frame: this.place,
      items: () => this.table.lines.map(({ root }) => root),
      strengths: () => this.table.lines.map(({ index }) => this.strongest(index)),
    });
    this.legend = element("div", { class: "layer-legend" });
    this.note = element("p", { class: "matrix-note" });
    section.append(
      element("div", { class: "controls" }, this.controls()),
      this.text,
      this.reading,
      mapped(this.place, this.map),
      this.legend,
      this.note,
    );
    section.style.setProperty("--layer-row", `${style.rowHeight}px`);
    this.buildText();
    this.width = Math.floor(this.place.clientWidth);
    this.buildTable();
    onWidth(this.place, (width) => {
      if (width === this.width) return;
      this.width = width;
      this.buildTable();
    });
    onTheme(() => this.show());
    const { head, side, token } = this.state;
    this.selection = selectionOf(this.record, { head, [side]: token });
    this.take = (changed) => this.follow(changed);
    this.selection.follow(this.take);
  }

  /** What was chosen elsewhere on the page: the word, and one head of every layer. */
  follow(changed) {
    const { state, record } = this;
    const token = changed[state.side];
    const change = {};
    if (typeof token === "number") change.token = token;
    if ("head" in changed) Object.assign(change, { head: changed.head, combine: "one" });
    if (changed.weights !== undefined) change.weights = fittingWeights(record, changed.weights);
    if (Object.keys(change).length === 0) return;
    this.apply(change);
    this.headSelect.value = String(state.head);
    this.combineSelect.value = state.combine;
    if (this.weights) this.weights.querySelector("select").value = state.weights;
    const button = this.textButtons[state.token];
    if (button) beforeFrame(this, () => bringAllIn([button], this.text));
  }

  controls() {
    const { state, record } = this;
    const change = (name) => (value) => this.set({ [name]: value });
    const pick = (name, label, options) =>
      choice({ name, label, options, value: state[name], change: change(name) });
    const heads = Array.from({ length: record.numHeads }, (_, head) => [String(head), `H${head}`]);
    const head = choice({
      name: "head",
      label: "Head",
      options: heads,
      value: String(state.head),
      change: (value) => this.set({ head: Number(value) }),
    });
    this.headSelect = head.root.querySelector("select");
    this.weights = weighingChoice(record, state.weights, change("weights"));
    this.sideChoice = pick("side", "Direction", SIDES);
    const combine = pick("combine", "Heads as", WAYS).root;
    const scale = scaleChoice(state.scale, change("scale")).root;
    this.combineSelect = combine.querySelector("select");
    this.scaleSelect = scale.querySelector("select");
    return [
      this.sideChoice.root,
      this.weights,
      combine,
      head.root,
      scale,
      this.specialControl(),
      exportButtons(
        "layer-view",
        () => layerFigure(this),
        () => ({
          head: state.combine === "one" ? `H${state.head}` : state.combine,
          weights: weightsWords(record, state.weights),
        }),
      ),
    ].filter(Boolean);
  }

  specialControl() {
    const { record, state } = this;
    if (![...record.queries.special, ...record.keys.special].some(Boolean)) return null;
    const input = element("input", { type: "checkbox", name: "special" });
    input.checked = !state.special;
    input.addEventListener("change", () => this.set({ special: !input.checked }));
    return labeled("Leave out special tokens", input);
  }

  set(change) {
    this.apply(change);
    const { token, weights, head, side } = this.state;
    const told = { weights, ...("head" in change ? { head } : {}) };
    if ("token" in change) told[side] = token;
    this.selection.set(told, this.take);
  }

  apply(change) {
    const isTurned = this.state.set(change);
    if (isTurned) this.buildText();
    if (isTurned || change.special !== undefined) this.buildTable();
    else this.show();
    writeLink(this.section.id, this.state.toLink());
  }

  buildText() {
    const { buttons } = tokenColumn(this.state.own, this.state.side, this.style.rowHeight);
    this.textButtons = buttons;
    this.enter = walkWithArrows(buttons);
    for (const [index, button] of buttons.entries()) {
      button.classList.add("layer-word");
      button.addEventListener("click", () => this.set({ token: index }));
      button.addEventListener("focus", () => {
        if (button.matches(":focus-visible") && index !== this.state.token) {
          this.set({ token: index });
        }
      });
      button.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        buttons[index + step]?.focus();
      });
    }
    const items = buttons.map((button) => element("li", {}, button));
    this.text.replaceChildren(element("ol", { class: "layer-words" }, items));
  }

  markText() {
    for (const [index, button] of this.textButtons.entries()) {
      button.setAttribute("aria-pressed", String(index === this.state.token));
    }
    this.enter(this.textButtons[this.state.token]);
  }

  /** A row's token becomes the chosen one; of two texts, it is read from its own side. */
  choose(index) {
    if (this.style.isSelf) this.set({ token: index });
    else {
      this.set({ side: this.state.otherSide, token: index });
      this.sideChoice.show(this.state.side);
      // The row that was pressed is no more.
      this.textButtons[index].focus({ preventScroll: true });
    }
    this.textButtons[index].scrollIntoView({ block: "nearest" });
  }

  buildTable() {
    if (this.width === 0) return;
    this.table.build(this.width);
    this.section.style.setProperty("--layer-room", `${this.table.room}px`);
    this.show();
  }

  show() {
    if (this.width === 0) return;
    const { state, record, numbers } = this;
    this.values = record.layers.map((_, row) => numbers.line(row));
    this.bests = this.values.map((line) => largestPlace(line, state.shown));
    const largest = Math.max(0, ...this.bests.map((best, row) => this.values[row][best] ?? 0));
    this.largest = state.isToLargest ? largest || 1 : 1;
    whenOnScreen(this.table.root, () => this.fillTable());
    this.words.take(this.values, this.bests);
    // What has no head, and what has no bound, leaves nothing to choose.
    this.headSelect.disabled = state.combine !== "one" || state.isWhole;
    this.combineSelect.disabled = state.isWhole;
    this.scaleSelect.disabled = state.isToLargest && state.scale === "one";
    this.markText();
    this.showWords();
    this.point(null);
  }

  fillTable() {
    const { state, numbers } = this;
    const { leftOut } = state;
    this.table.show(this.values, this.bests, this.largest);
    this.map.draw();
    if (leftOut.length > 0) {
      this.table.showRest(this.values.map((line, row) => numbers.share(row, leftOut, line)));
    }
  }

  /** The largest of a token's numbers over the layers, as a share of what is colored in full. */
  strongest(index) {
    return Math.max(0, ...this.values.map((layer) => layer[index] || 0)) / this.largest;
  }

  showWords() {
    const { state, style } = this;
    this.table.corner.textContent = this.words.isThrough ? "up to layer" : "layer";
    this.table.root.setAttribute("aria-label", `${this.words.caption()}: tokens by layers`);
    this.legend.replaceChildren(
      scaleLegend(style.scale, "0", state.isToLargest ? figure(this.largest) : "1"),
    );
    this.note.textContent = this.words.notes(this.table.isWritten).join(" ");
  }

  /** Point at a cell, at a row (without a layer), or at nothing. */
  point(place) {
    this.table.point(place);
    this.reading.textContent = this.words.sentence(place);
  }
}

// How much each head changes from one record to the other: a map of all heads, and the first ones.
import { element, figure, headName } from "./dom.js";
import { drawHeads, headGrid, headTrace, scaleLegend } from "./head-grid.js";
import { whole } from "./numbers.js";
import { onWidth } from "./plot.js";
import { themed } from "./theme.js";

const CELL = 26;
const RANKED = 8;

/** The map of all heads; `choose(row, head)` is called when one is chosen. */
export class CompareOverview {
  constructor(state, choose) {
    Object.assign(this, { state, choose, style: state.style });
    const [{ layers, numHeads }] = state.records;
    const { changes, scale } = this.style;
    this.largest = Math.max(...changes.flat().map((value) => value ?? 0));
    const say = (row, head) => `change ${figure(changes[row][head] ?? Number.NaN)}`;
    const pointed = element("p", { class: "matrix-note" });
    this.grid = headGrid(layers, numHeads, say, {
      choose,
      point: (row, head) => {
        pointed.textContent = `${headName(layers[row], head)}: ${say(row, head)}`;
      },
    });
    this.root = element("div", { class: "compare-overview" }, [
      element("h3", {}, "How much each head changes"),
      element("p", { class: "note" }, this.words()),
      this.grid.root,
      scaleLegend(scale, "change 0", this.largest > 0 ? figure(this.largest) : "1"),
      this.ranking(),
      pointed,
    ]);
    onWidth(this.grid.picture.parentElement, () => this.draw());
  }

  mark(row, head) {
    this.grid.mark(row, head);
  }

  words() {
    const count = this.state.queries.pairs.filter((pair) => !pair.includes(null)).length;
    const missing = this.style.changes.flat().includes(null) ? " Without a color: missing." : "";
    const queries = count === 1 ? "the one query" : `the ${whole(count)} queries`;
    return `The share of a token’s attention that goes elsewhere: total variation, ½ Σ |b − a| over the keys that both have, in the mean over ${queries} that both have; from 0 (nothing changes) to 1 (everything).${missing}`;
  }

  draw() {
    const range = [0, this.largest || 1];
    const { changes, scale } = this.style;
    drawHeads(this.grid, headTrace(changes, range, themed(scale)), CELL);
  }

  /** The heads that change most, each a button. */
  ranking() {
    const { style } = this;
    const [{ layers }] = this.state.records;
    const ranked = style.changes
      .flatMap((line, row) => line.map((value, head) => ({ value, row, head })))
      .filter(({ value }) => value !== null)
      .sort((one, two) => two.value - one.value)
      .slice(0, RANKED);
    const buttons = ranked.map(({ value, row, head }) => {
      const name = headName(layers[row], head);
      const button = element("button", { type: "button", class: "plain" }, [
        name,
        element("span", { class: "aside" }, figure(value)),
      ]);
      button.addEventListener("click", () => this.choose(row, head));
      return button;
    });
    const label = element("span", { class: "label" }, "Most changed");
    return element("div", { class: "compare-ranking" }, [label, ...buttons]);
  }
}

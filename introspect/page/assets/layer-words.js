// What the layer view says of what is shown and pointed at.
import { figure, quoted } from "./dom.js";
import { largestPlace } from "./layer-numbers.js";
import { counted } from "./numbers.js";
import { numberWords } from "./weighings.js";

/** Sentences about a `LayerState` and its numbers. */
export class LayerWords {
  constructor(state, numbers) {
    Object.assign(this, { state, numbers });
  }

  /** What is shown now: the weights of each layer by token, and the place of the largest. */
  take(values, bests) {
    Object.assign(this, { values, bests });
  }

  /** Of a token and a layer, of a token (without a layer), or of all. */
  sentence(place) {
    return place ? this.readPlace(...place) : this.readAll();
  }

  named(side, index) {
    return quoted(this.state.record.side(side).labels[index]);
  }

  how() {
    const { state } = this;
    const { record, method } = state;
    if (state.isWhole) return `by ${method.label}`;
    const one = `in head ${record.numHeads === 1 ? 0 : state.head}`;
    const heads = `over ${record.numHeads} heads`;
    const how = {
      mean: record.numHeads === 1 ? one : `on average ${heads}`,
      max: record.numHeads === 1 ? one : `at most ${heads}`,
      one,
    }[state.combine];
    return method ? `${how}, ${method.label}` : how;
  }

  /** Whether a layer's numbers are of all layers up to it. */
  get isThrough() {
    return Boolean(this.state.method?.through);
  }

  caption() {
    const way = this.state.side === "query" ? "From" : "To";
    return `${way} ${this.named(this.state.side, this.state.token)}, ${this.how()}`;
  }

  title() {
    return this.state.leftOut.length > 0
      ? `${this.caption()}, special tokens left out`
      : this.caption();
  }

  readPlace(token, row) {
    const { state } = this;
    const { record } = state;
    const values = this.values.map((line) => line[token]);
    const places = values.map((_, place) => place);
    const at = row ?? largestPlace(values, places);
    const pair =
      state.side === "query"
        ? [this.named("query", state.token), this.named("key", token)]
        : [this.named("query", token), this.named("key", state.token)];
    if (at === -1) return `${pair.join(" → ")}: missing in every layer.`;
    const layer = `${this.isThrough ? "up to layer" : "layer"} ${record.layers[at]}`;
    const where = row !== null ? layer : `most ${layer.replace(/^layer/, "in layer")}`;
    return `${pair.join(" → ")}, ${where}: ${figure(values[at])} (${this.how()}).`;
  }

  /** What the chosen token attends to most, of all layers. */
  readAll() {
    const { state } = this;
    const { record } = state;
    const rows = record.layers.map((_, row) => row);
    const tops = this.bests.map((best, row) => (best === -1 ? Number.NaN : this.values[row][best]));
    const row = largestPlace(tops, rows);
    const token = this.named(state.side, state.token);
    if (row === -1) return `Every weight of ${token} is missing.`;
    const other = this.named(this.state.otherSide, this.bests[row]);
    const layer = `layer ${record.layers[row]}`;
    const tail = `(${figure(tops[row])} ${this.how()}).`;
    if (this.isThrough) {
      return state.side === "query"
        ? `${token} holds most of ${other} up to ${layer} ${tail}`
        : `Most of ${token} is held by ${other} up to ${layer} ${tail}`;
    }
    return state.side === "query"
      ? `${token} attends most to ${other} in ${layer} ${tail}`
      : `${token} is attended to most by ${other} in ${layer} ${tail}`;
  }

  notes(isWritten) {
    const { state } = this;
    const { style, leftOut, shown, record } = state;
    const notes = isWritten && shown.length > 1 ? ["Bold: the largest of a layer."] : [];
    if (state.combine === "one" && !state.isWhole && record.numHeads > 1 && record.numLayers > 1) {
      notes.push(`H${state.head} is a different head in each layer.`);
    }
    if (leftOut.length > 0) {
      const what = counted(leftOut.length, "special token");
      const most = state.combine === "max" && !state.isWhole ? ", in the head with most" : "";
      notes.push(`Left out: ${what}; the last row has what they sum to${most}.`);
    }
    if (this.values.some((line) => shown.some((place) => Number.isNaN(line[place])))) {
      notes.push("Hatched cells are missing.");
    }
    const remainder = this.numbers.remainder();
    if (remainder !== null) {
      notes.push(`Up to ${figure(remainder)} of a layer is in weights too small for this page.`);
    }
    if (state.weights === "rollout") {
      notes.push(
        "Rollout follows attention alone: half of every token passes each layer unchanged. What " +
          "the mask alone would give is the rollout of even attention.",
      );
    }
    notes.push(numberWords(record, state.weights));
    notes.push(this.isThrough ? style.note : style.missing);
    if (this.values.some((line) => shown.some((place) => line[place] < 0))) {
      notes.push("What counts against has no color.");
    }
    return notes.filter(Boolean);
  }
}

// The two texts that are compared, as words to choose from: one choice for both.
import { sharesBy } from "./chosen-pair.js";
import { element } from "./dom.js";
import { groupsOf } from "./shares.js";
import { sentenceWords } from "./words.js";

/** The words of A and of B, each with what the chosen word gives it there. */
export class CompareSentences {
  /**
   * @param {CompareState} state what is chosen
   * @param {{choose: Function, point: Function}} acts called with a side, "query" or "key", and a
   *   place of it; `point` with null for none
   */
  constructor(state, acts) {
    Object.assign(this, { state, acts });
    const { sentences } = state.style;
    this.words = sentences.map((side) => this.wordsOf(state.records[side], side));
    this.granularity = null;
    this.pointed = null;
    for (const [side, { root }] of this.words.entries()) {
      root.setAttribute("aria-label", `${state.names[side]}: ${root.getAttribute("aria-label")}`);
    }
    const lines = this.words.flatMap(({ root }, side) => [
      element("dt", {}, element("bdi", {}, state.names[side])),
      element("dd", {}, root),
    ]);
    this.root = element(
      "dl",
      { class: "compare-texts", hidden: sentences.length === 0 ? "" : null },
      lines,
    );
  }

  wordsOf(record, side) {
    const { acts } = this;
    const placeOf = (name, token) =>
      this.placesOf(name).pairs.findIndex((pair) => pair[side] === token);
    const roles = {};
    for (const place of this.state.keys.differing) {
      const index = this.state.keys.index(place, side);
      if (index !== null) roles[index] = "differs";
    }
    return sentenceWords(
      record,
      { roles },
      {
        choose: (name, token) => acts.choose(name, placeOf(name, token)),
        point: (name, token) => acts.point(name, name === null ? null : placeOf(name, token)),
      },
    );
  }

  placesOf(name) {
    return name === "query" ? this.state.queries : this.state.keys;
  }

  /** Show what is chosen, the texts by token or by word. */
  show(granularity) {
    if (granularity !== this.granularity) {
      for (const { build } of this.words) build(granularity);
      this.granularity = granularity;
    }
    for (const side of this.words.keys()) this.showSide(side);
  }

  /** Show what a place gives while it is pointed at; with null the chosen one. */
  point(place) {
    if (place === this.pointed) return;
    this.pointed = place;
    if (this.granularity) this.show(this.granularity);
  }

  showSide(side) {
    const { state, words, granularity } = this;
    const record = state.records[side];
    const query = state.queries.index(this.pointed ?? state.token, side);
    const key = state.key === null ? null : state.keys.index(state.key, side);
    const { groups, groupOf } = groupsOf(record.queries, granularity);
    const keys = groupsOf(record.keys, granularity);
    const shares =
      query === null
        ? new Float64Array(keys.groups.length)
        : sharesBy(record, "raw").row(
            state.rows[side],
            state.heads[side],
            groups[groupOf[query]],
            keys,
          );
    words[side].show({
      shares,
      side: "key",
      chosen: query === null ? [] : [groupOf[query]],
      key: key === null ? -1 : keys.groupOf[key],
      scale: 1,
      verb: "gets",
      isSettled: this.pointed === null,
    });
  }
}

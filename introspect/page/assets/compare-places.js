// The tokens of two records in one order.

/** The tokens of two records in one order: each place has a token of A, of B or of both. */
export class Places {
  constructor(pairs, sequences) {
    Object.assign(this, { pairs, sequences });
    this.length = pairs.length;
    this.whole = [0, pairs.length - 1];
    this.differing = pairs.map((_, place) => place).filter((place) => this.differs(place));
  }

  /** The index of a place's token in A (0) or in B (1); null if there is none. */
  index(place, side) {
    return this.pairs[place][side];
  }

  label(place, side) {
    const index = this.index(place, side);
    return index === null ? null : this.sequences[side].labels[index];
  }

  isShared(place) {
    return !this.pairs[place].includes(null);
  }

  differs(place) {
    return this.label(place, 0) !== this.label(place, 1);
  }

  /** "tired → wide" where the two differ. */
  name(place) {
    const labels = [this.label(place, 0), this.label(place, 1)].filter((label) => label !== null);
    return this.isShared(place) && this.differs(place) ? labels.join(" → ") : labels[0];
  }

  /** The side of a panel, as a matrix needs it; panel 2 is the difference. */
  axis(panel, names) {
    const all = this.pairs.map((_, place) => place);
    const sideOf = (place) => (panel < 2 ? panel : this.index(place, 1) === null ? 0 : 1);
    const of = (name) => (place) => {
      const index = this.index(place, sideOf(place));
      return index === null ? 0 : (this.sequences[sideOf(place)][name]?.[index] ?? 0);
    };
    return {
      // Of the difference the label is B's; the whole is said when it is pointed at.
      labels: all.map((place) => this.label(place, sideOf(place))),
      tokens: all.map((place) => this.index(place, sideOf(place))),
      notes: all.map((place) => this.note(place, panel, names)),
      special: all.map(of("special")),
      unknown: all.map(of("unknown")),
      generated: all.map(of("generated")),
    };
  }

  note(place, panel, names) {
    if (!this.differs(place)) return null;
    if (!this.isShared(place)) return `only in ${names[this.index(place, 0) === null ? 1 : 0]}`;
    const other = panel === 0 ? 1 : 0;
    return `“${this.label(place, other)}” in ${names[other]}`;
  }
}

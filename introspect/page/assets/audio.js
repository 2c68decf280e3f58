// The sound view: a waveform, and over it what a word or a moment attends to.
import { audioFigure } from "./audio-figure.js";
import { choice } from "./controls.js";
import { element, figure, headName, quoted, svgElement } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { headStrip } from "./head-strip.js";
import { coordinate, decimal, listed, quantity } from "./numbers.js";
import { onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { textOf } from "./words.js";
import { lineMoves } from "./words-walk.js";

// Columns of more frames than this are too narrow to be seen in their color without an outline.
const FEW = 400;
// Under this a weight is said to be smaller, not written out.
const SMALLEST = 0.0001;
// How far the larger steps of the keyboard go, in frames.
const FAR = 10;
// Of the picture's own units, so many that tenths of them are fine enough.
const [WIDTH, HEIGHT] = [100, 100];
const STEPS = {
  ArrowRight: 1,
  ArrowUp: 1,
  ArrowLeft: -1,
  ArrowDown: -1,
  PageUp: FAR,
  PageDown: -FAR,
};
// Between two times that are written there are at least so many pixels.
const LEAST_BETWEEN = 70;
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60];

/** Build the view in its section. */
export function mountAudioView(section, style, record) {
  new Sound(section, style, record).build();
}

class Sound {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record, pointed: null, pointedHead: null });
    this.selection = selectionOf(record, style.first);
    // A sound that attends to itself has its moments for words.
    this.isSelf = style.isSelf;
    this.count = style.count;
  }

  build() {
    const { section, style, record } = this;
    this.words = this.isSelf ? null : textOf(record.queries, "query", "token", {});
    this.strip = headStrip(record, {
      choose: (row, head) => this.selection.set({ row, head }),
      point: (row, head) => this.point({ pointedHead: row === null ? null : [row, head] }),
    });
    this.legend = element("p", { class: "strip-legend" });
    this.reading = element("p", { class: "reading", "aria-live": "polite" });
    this.scale = element("p", { class: "legend sound-legend" });
    this.slider = this.makeSlider();
    this.stage = element("div", { class: "sound-stage" }, [this.waveform(), this.slider]);
    this.axis = element("div", { class: "sound-axis", "aria-hidden": "true" });
    this.padding = style.padding ? element("p", { class: "sound-padding" }) : null;
    const main = element(
      "div",
      { class: "sound-main" },
      [
        this.words ? this.wordsBlock() : null,
        this.reading,
        element(
          "div",
          { class: "sound-row" },
          [element("div", { class: "sound-wave" }, [this.stage, this.axis]), this.padding].filter(
            Boolean,
          ),
        ),
        this.scale,
      ].filter(Boolean),
    );
    const heads = element("div", { class: "instrument-heads" }, [this.strip.root, this.legend]);
    // The words are the text: said a second time as a heading, it would push them down.
    if (this.words) document.querySelector("main > h1")?.classList.add("unseen");
    // The sound first; what explains it, and the fields, stand below.
    section.prepend(element("div", { class: "sound" }, [main, heads]));
    section.append(element("div", { class: "controls" }, this.controls()));
    section.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.selection.set({ key: null });
    });
    this.selection.listeners.add(() => this.update());
    onWidth(this.stage, () => this.drawAxis());
    this.update();
  }

  controls() {
    const { record, selection } = this;
    const layers = record.layers.map((layer, row) => [String(row), String(layer)]);
    this.layer = choice({
      name: "layer",
      label: "Layer",
      options: layers,
      value: String(selection.row),
      change: (row) => selection.set({ row: Number(row) }),
    });
    const heads = Array.from({ length: record.numHeads }, (_, head) => [
      String(head),
      String(head),
    ]);
    this.head = choice({
      name: "head",
      label: "Head",
      options: heads,
      value: String(selection.head),
      change: (head) => selection.set({ head: Number(head) }),
    });
    const save = exportButtons(
      "audio",
      () => audioFigure(this.style, this.shares(), `${this.name()}: ${this.subject()}`),
      () => ({ head: this.name() }),
    );
    return [this.layer.root, this.head.root, save];
  }

  // --- the words ---------------------------------------------------------------------------------

  wordsBlock() {
    const root = element(
      "div",
      {
        "data-element": "words",
        class: "words-block sound-words",
        role: "group",
        "aria-label": "The text that the model writes. Choose the word that attends.",
      },
      this.words.root,
    );
    for (const word of this.words.words) {
      word.dataset.side = "query";
      word.dataset.tokenIndex = word.dataset.first;
    }
    const wordAt = (event) => event.target.closest("[data-word-index]");
    const pick = (word) => this.selection.set({ query: Number(word.dataset.first) });
    root.addEventListener("click", (event) => {
      const word = wordAt(event);
      if (word) pick(word);
    });
    root.addEventListener("keydown", (event) => {
      const word = wordAt(event);
      if (!word) return;
      const isChosen = event.key === "Enter" || event.key === " ";
      const next = isChosen ? null : lineMoves(word, this.words.words, event);
      if (!isChosen && !next) return;
      event.preventDefault();
      if (isChosen) pick(word);
      else next.focus();
    });
    root.addEventListener("focusin", (event) => {
      const word = wordAt(event);
      for (const other of this.words.words) other.tabIndex = other === word ? 0 : -1;
    });
    return root;
  }

  /** The words: which attends, and what each gives to the chosen moment. */
  showWords() {
    const { record, selection, words } = this;
    if (!words) return;
    const [row, head] = this.place();
    const moment = this.pointed ?? selection.key;
    const weights = words.words.map((word) =>
      moment === null ? 0 : record.weight(row, head, Number(word.dataset.first), moment),
    );
    const largest = Math.max(0, ...weights.filter((weight) => !Number.isNaN(weight)));
    words.words.forEach((word, place) => {
      const isChosen = Number(word.dataset.first) === selection.query;
      const share = largest > 0 ? Math.max(weights[place] || 0, 0) / largest : 0;
      word.style.setProperty("--tint", Math.sqrt(share).toFixed(3));
      word.classList.toggle("chosen", isChosen);
      word.setAttribute("aria-pressed", String(isChosen));
      const given =
        moment === null ? "" : `: gives ${this.timeOf(moment)} ${precise(weights[place])}`;
      const kind = word.dataset.kind ? `, ${word.dataset.kind}` : "";
      word.setAttribute("aria-label", `${word.dataset.label}${kind}${given}`);
      if (isChosen) word.tabIndex = 0;
      else word.tabIndex = selection.query === null && place === 0 ? 0 : -1;
    });
  }

  // --- the waveform ------------------------------------------------------------------------------

  /** A column of tint for each frame; before them the sound, from its least to its greatest. */
  waveform() {
    const { low, high } = this.style;
    const peak = Math.max(...high, ...low.map(Math.abs)) || 1;
    const up = (amplitude) => (HEIGHT / 2) * (1 - (0.8 * amplitude) / peak);
    this.tints = this.style.labels.map((_, frame) =>
      svgElement("rect", {
        x: frame * WIDTH,
        y: 0,
        width: WIDTH,
        height: HEIGHT,
        class: "sound-tint",
      }),
    );
    const at = (place) => ((place + 0.5) * this.count * WIDTH) / low.length;
    const corner = (amplitude, place) => `${coordinate(at(place))},${coordinate(up(amplitude))}`;
    const outline = [...high.map(corner), ...low.map(corner).reverse()];
    const sound = svgElement("polygon", { points: outline.join(" "), class: "sound-line" });
    this.marks = {
      query: svgElement("rect", { y: 0, width: WIDTH, height: HEIGHT, class: "sound-mark query" }),
      key: svgElement("rect", { y: 0, width: WIDTH, height: HEIGHT, class: "sound-mark key" }),
    };
    const box = `0 0 ${this.count * WIDTH} ${HEIGHT}`;
    return svgElement(
      "svg",
      {
        viewBox: box,
        preserveAspectRatio: "none",
        class: this.count > FEW ? "sound-picture fine" : "sound-picture",
        "aria-hidden": "true",
      },
      [...this.tints, sound, this.marks.query, this.marks.key],
    );
  }

  /** What the keyboard walks along the sound with, and the pointer chooses a moment on. */
  makeSlider() {
    const root = element("div", {
      role: "slider",
      tabindex: 0,
      class: "sound-slider",
      "aria-label": this.isSelf ? "The moment that attends" : "The moment attended to",
      "aria-valuemin": 0,
      "aria-valuemax": this.count - 1,
      "data-side": this.isSelf ? "query" : "key",
    });
    const frameAt = (event) => {
      const { left, width } = root.getBoundingClientRect();
      const share = (event.clientX - left) / width;
      return Math.min(this.count - 1, Math.max(0, Math.floor(share * this.count)));
    };
    root.addEventListener("click", (event) => this.chooseMoment(frameAt(event)));
    root.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") this.point({ pointed: frameAt(event) });
    });
    root.addEventListener("pointerleave", () => this.point({ pointed: null }));
    root.addEventListener("keydown", (event) => {
      const now = this.moment() ?? 0;
      const ends = { Home: 0, End: this.count - 1 };
      const next = ends[event.key] ?? (STEPS[event.key] ? now + STEPS[event.key] : null);
      if (next === null) return;
      event.preventDefault();
      this.chooseMoment(Math.min(this.count - 1, Math.max(0, next)));
    });
    return root;
  }

  /** The moment that the slider stands at. */
  moment() {
    return this.isSelf ? this.selection.query : this.selection.key;
  }

  chooseMoment(frame) {
    this.selection.set(this.isSelf ? { query: frame, key: null } : { key: frame });
  }

  drawAxis() {
    const { style } = this;
    const width = this.stage.clientWidth;
    if (width === 0) return;
    const seconds = this.count * style.step;
    const apart = TICKS.find((tick) => (tick / seconds) * width >= LEAST_BETWEEN) ?? TICKS.at(-1);
    const digits = apart < 0.1 ? 2 : apart < 1 ? 1 : 0;
    const names = [];
    // Rounding may leave the last one out.
    for (let number = 0; number * apart <= seconds + 1e-9; number += 1) {
      const name = element("span", {}, `${decimal(number * apart, digits)} s`);
      name.style.left = `${(100 * number * apart) / seconds}%`;
      names.push(name);
    }
    this.axis.replaceChildren(...names);
  }

  // --- what is shown -----------------------------------------------------------------------------

  point(change) {
    const differs = Object.entries(change).some(([name, to]) => String(this[name]) !== String(to));
    if (!differs) return;
    Object.assign(this, change);
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.show();
    });
  }

  place() {
    return this.pointedHead ?? [this.selection.row, this.selection.head];
  }

  name() {
    const [row, head] = this.place();
    return headName(this.record.layers[row], head);
  }

  timeOf(frame) {
    return this.style.labels[frame];
  }

  subject() {
    const { query } = this.selection;
    if (query === null) return "nothing chosen";
    return this.isSelf ? this.timeOf(query) : quoted(this.record.queries.labels[query]);
  }

  /** What the chosen word or moment gives each key: the frames, then the padding if there is any. */
  shares() {
    const { record, selection } = this;
    const [row, head] = this.place();
    return Array.from({ length: record.keyLen }, (_, key) =>
      selection.query === null ? Number.NaN : record.weight(row, head, selection.query, key),
    );
  }

  update() {
    this.layer.show(String(this.selection.row));
    this.head.show(String(this.selection.head));
    this.strip.mark(this.selection.row, this.selection.head);
    this.colorHeads();
    this.show();
  }

  show() {
    const { selection, style } = this;
    const shares = this.shares();
    const frames = shares.slice(0, this.count);
    const largest = Math.max(0, ...frames.filter((share) => !Number.isNaN(share)));
    this.tints.forEach((tint, frame) => {
      const strength = largest > 0 ? (frames[frame] || 0) / largest : 0;
      tint.style.setProperty("opacity", (style.opacity * strength).toFixed(3));
    });
    this.mark("query", this.isSelf ? selection.query : null);
    this.mark("key", this.pointed ?? selection.key);
    const moment = this.moment();
    this.slider.dataset.tokenIndex = moment ?? "";
    this.slider.setAttribute("aria-valuenow", moment ?? 0);
    this.slider.setAttribute("aria-valuetext", this.valueText(moment, frames));
    if (this.padding) {
      const share = shares[this.count];
      this.padding.style.setProperty("--share", Number.isNaN(share) ? 0 : Math.min(share, 1));
      this.padding.replaceChildren(
        element("span", {}, "padding"),
        element("b", {}, precise(share)),
      );
    }
    this.reading.textContent = this.sentence(frames, shares[this.count]);
    this.showScale(largest);
    this.showWords();
  }

  valueText(moment, frames) {
    if (moment === null) return "none";
    return this.isSelf
      ? this.timeOf(moment)
      : `${this.timeOf(moment)}: gets ${precise(frames[moment])}`;
  }

  mark(side, frame) {
    this.marks[side].setAttribute("x", (frame ?? 0) * WIDTH);
    this.marks[side].setAttribute("visibility", frame === null ? "hidden" : "visible");
  }

  /** L2H1: “cat” gives 0.12 to 0.42 s, most to 0.44 s (0.15), and 0.43 to the padding. */
  sentence(frames, padding) {
    const { query } = this.selection;
    const key = this.pointed ?? this.selection.key;
    if (query === null) {
      return `${this.name()}. Choose ${this.isSelf ? "a moment" : "a word"} to see what it attends to.`;
    }
    const strongest = strongestOf(frames);
    const isPair = key !== null && key !== strongest;
    const said = [
      ...(isPair ? [`${precise(frames[key])} to ${this.timeOf(key)}`] : []),
      `most to ${this.timeOf(strongest)} (${precise(frames[strongest])})`,
      ...(padding === undefined ? [] : [`${precise(padding)} to the padding`]),
    ];
    return `${this.name()}: ${this.subject()} gives ${listed(said)}.`;
  }

  showScale(largest) {
    const bar = element("i", { class: "scale sound-scale" });
    const words = `Full color is ${precise(largest)}, the largest weight from ${this.subject()} to a frame (${this.name()}).`;
    this.scale.replaceChildren("0", bar, element("span", { class: "scale-words" }, words));
  }

  /** Each head by what it gives from the chosen word or moment to the chosen one, or at most. */
  colorHeads() {
    const { query, key } = this.selection;
    const of = (row, head) => {
      if (query === null) return Number.NaN;
      const weight = (frame) => this.record.weight(row, head, query, frame);
      if (key !== null) return weight(key);
      return Math.max(...this.style.labels.map((_, frame) => weight(frame) || 0));
    };
    this.strip.color(of, (row, head) => precise(of(row, head)));
    const to = key === null ? "the frame given most" : this.timeOf(key);
    const words = query === null ? "Choose a word" : `${this.subject()} → ${to}  0 `;
    const bar = element("i", { class: "strip-scale" });
    const scale = element("span", { class: "words-bound" }, [bar, " 1"]);
    this.legend.replaceChildren(words, ...(query === null ? [] : [scale]));
  }
}

/** The frame with the largest weight. */
function strongestOf(frames) {
  return frames.reduce((best, share, frame) => (share > frames[best] ? frame : best), 0);
}

/** A weight; a frame among hundreds gets little, so small ones keep more digits. */
function precise(weight) {
  if (Number.isNaN(weight) || weight === 0 || weight >= 0.1) return figure(weight);
  return weight < SMALLEST ? `under ${quantity(SMALLEST)}` : quantity(weight);
}

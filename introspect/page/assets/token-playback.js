// The playback view: a text as it is read or written, one token after the other.
import { element, figure, headName, quoted, runsLeft } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, namesAxis, paperLayout } from "./figures.js";
import { decimal, percent, whole } from "./numbers.js";
import { playback } from "./playback.js";
import { selectionOf } from "./selection.js";
import { themed } from "./theme.js";
import { walkWithArrows } from "./tokens.js";

// Long enough to see where a row lies before the next one comes.
const FRAME = 600;
const LEAST_WRITTEN = 0.02;
const MOST_NAMED = 2;
const CELL = 26;
const ROOM = 130;
/** Build the view in its section. */
export function mountTokenPlaybackView(section, style, record) {
  new TokenPlayback(section, style, record).build();
}

class TokenPlayback {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    const { row, head, begin } = style;
    this.selection = selectionOf(record, { row, head, query: begin });
    this.token = this.placed(this.selection.query ?? begin);
  }

  /** A token that is played: none before the first. */
  placed(token) {
    return Math.max(token, this.style.begin);
  }

  build() {
    const { record, section, style, selection } = this;
    const { begin } = style;
    this.words = record.queries.labels.map((label, token) => this.word(label, token));
    walkWithArrows(
      this.words.map(({ button }) => button),
      ["ArrowLeft", "ArrowRight"],
    );
    this.player = playback({
      name: "token",
      button: "play-tokens",
      label: "Token",
      last: record.queryLen - 1 - begin,
      value: this.token - begin,
      frame: FRAME,
      say: (place) => `${whole(place + begin + 1)} of ${whole(record.queryLen)}`,
      told: () => this.reading.textContent,
      change: (place) => this.choose(place + begin),
    });
    this.reading = element("p", { class: "reading strong" });
    this.likeliest = element("ol", { class: "likeliest" });
    const letters = record.queries.labels.join("").match(/\p{L}/u)?.[0] ?? "";
    const line = this.words.flatMap(({ button, isGlued }) => (isGlued ? [button] : [" ", button]));
    const text = element(
      "p",
      { class: "words-line", dir: runsLeft(letters) ? "rtl" : "ltr" },
      line,
    );
    const note =
      begin > 0 ? element("p", { class: "note" }, "Underlined: what came after the prompt.") : null;
    const caption =
      style.likeliest.length > 0
        ? element("p", { class: "label likeliest-title" }, "Likeliest next, by the model")
        : null;
    const save = exportButtons("playback-view", () => this.figure());
    section.append(
      element("div", { class: "controls" }, [this.player.root, save]),
      this.reading,
      element("div", { class: "words-block played", "data-size": "long" }, text),
      ...[note, caption].filter(Boolean),
      this.likeliest,
    );
    selection.listeners.add(() => this.follow());
    this.show();
  }

  word(label, token) {
    const { record, style } = this;
    const { special, glued } = record.queries;
    const number = element("small", { "aria-hidden": "true" });
    const button = element("button", {
      type: "button",
      class: "word",
      "data-side": "query",
      "data-token-index": token,
      "data-kind": special[token] ? "special token" : null,
      "data-written": token > style.begin && style.begin > 0 ? "true" : null,
    });
    button.append(element("bdi", { class: "word-text" }, label), number);
    button.addEventListener("click", () => {
      this.player.pause();
      this.choose(this.placed(token));
    });
    return { button, number, label, isGlued: token === 0 || Boolean(glued[token]) };
  }

  choose(token) {
    this.selection.set({ query: token, key: null, pins: [] });
  }

  /** Somebody chose: another head, or another token. */
  follow() {
    const { query } = this.selection;
    if (query !== null) this.token = this.placed(query);
    this.player.show(this.token - this.style.begin);
    this.show();
  }

  /** The token that has come last, and its row over the text so far. */
  show() {
    const { record, token, words, selection } = this;
    const { row, head } = selection;
    const weights = words.map((_, key) => (key > token ? 0 : record.weight(row, head, token, key)));
    words.forEach(({ button, number, label }, key) => {
      const weight = weights[key];
      const isLater = key > token;
      const strength = Number.isNaN(weight) ? 0 : Math.sqrt(Math.min(weight, 1));
      button.style.setProperty("--tint", strength.toFixed(3));
      button.classList.toggle("later", isLater);
      button.classList.toggle("chosen", key === token);
      button.setAttribute("aria-pressed", String(key === token));
      number.textContent = weight >= LEAST_WRITTEN && key !== token ? decimal(weight) : "";
      const said = isLater ? "not there yet" : `gets ${figure(weight)}`;
      button.setAttribute("aria-label", `query ${key}: ${label}: ${said}`);
    });
    this.reading.textContent = this.sentence(weights);
    this.showLikeliest();
  }

  sentence(weights) {
    const { record, token, selection, words } = this;
    const name = headName(record.layers[selection.row], selection.head);
    const order = [...weights.keys()].filter((key) => weights[key] > 0);
    order.sort((a, b) => weights[b] - weights[a]);
    const most = order
      .slice(0, MOST_NAMED)
      .map((key) => `${quoted(words[key].label)} ${figure(weights[key])}`);
    const gives = most.length > 0 ? `gives most to ${most.join(", then ")}` : "has no row";
    return `${name}: ${quoted(words[token].label)} ${gives}.`;
  }

  /** What the model holds likeliest after this token, the one that came marked. */
  showLikeliest() {
    const { style, token, words } = this;
    const likeliest = style.likeliest[token] ?? [];
    const next = words[token + 1]?.label.trim();
    this.likeliest.setAttribute("aria-label", `Likeliest after ${words[token].label}`);
    this.likeliest.replaceChildren(
      ...likeliest.map(([label, chance]) => {
        const isNext = label.trim() === next;
        const item = element("li", { "aria-current": isNext ? "true" : null }, [
          element("bdi", {}, label),
          element("span", {}, percent(chance)),
        ]);
        item.style.setProperty("--part", chance.toFixed(4));
        return item;
      }),
    );
  }

  /** The rows so far as a whole figure. */
  figure() {
    const { record, style, token, selection, words } = this;
    const { row, head } = selection;
    const rows = Array.from({ length: token - style.begin + 1 }, (_, place) => style.begin + place);
    const keys = words.slice(0, token + 1).map((_, key) => key);
    const z = rows.map((query) =>
      keys.map((key) => {
        const weight = record.weight(row, head, query, key);
        return Number.isNaN(weight) ? null : weight;
      }),
    );
    const names = (tokens) => tokens.map((one) => quoted(words[one].label, 18));
    const layout = paperLayout(this.reading.textContent, {
      width: ROOM + 130 + Math.max(320, CELL * keys.length),
      height: ROOM + 90 + Math.max(100, CELL * rows.length),
      margin: { l: ROOM, r: 130, t: ROOM + 60, b: 30 },
      xaxis: namesAxis(keys, names(keys), { side: "top", tickangle: -90 }),
      yaxis: namesAxis([...rows.keys()], names(rows), { range: [rows.length - 0.5, -0.5] }),
    });
    const bar = colorBar("weight");
    return {
      data: [
        { type: "heatmap", z, zmin: 0, zmax: 1, colorscale: themed(style.scale), colorbar: bar },
      ],
      layout,
    };
  }
}

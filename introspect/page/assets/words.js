// The sentence: a text as wrapped words, each with what the chosen word gives it.
import { arcLayer, drawArcs } from "./arcs.js";
import { element, figure, runsLeft } from "./dom.js";
import { decimal, whole } from "./numbers.js";
import { beforeFrame, onWidth } from "./plot.js";
import { groupsOf, labelOf } from "./shares.js";
import { GENERATED, isGenerated } from "./tokens.js";
import { linesOf, rowsOfNumbers } from "./word-lines.js";
import { lineMoves } from "./words-walk.js";

// Smaller shares have no number and no arc: their tints are all but white.
const LEAST_WRITTEN = 0.02;
// On so many lines all arcs are drawn; over more only the strongest, or they would cover the words.
const FEW_LINES = 3;
const MOST_ARCS = 5;

// Longer words may have to be cut, and need lines of their own.
const LONGEST_BOUND = 20;

/** How much room a text leaves its lines, and rows of numbers below each: less, the longer it is. */
const SIZES = [
  [40, "short"],
  [160, "long"],
  [Number.POSITIVE_INFINITY, "dense"],
];
const ROWS = { short: 2, long: 2, dense: 1 };

/**
 * The text of a record: one block, or two where the words that attend are not those attended to.
 *
 * @param {object} record the record
 * @param {{roles: Object<string, string>}} style roles of tokens, such as "antecedent"
 * @param {{choose: Function, point: Function}} acts called with a side and the first token of a
 *   word; `point` with null when nothing is pointed at any longer
 */
export function sentenceWords(record, style, acts) {
  const isSelf = record.keys === record.queries;
  const root = element("div", {
    "data-element": "words",
    class: "words-block",
    role: "group",
    "aria-label": "The text. Choose the word that attends, then the word attended to.",
  });
  const arcs = arcLayer();
  const crowded = element("p", { class: "note words-note", hidden: "" });
  const written = element("p", { class: "note words-note" }, GENERATED);
  let lines = null;
  let sides = {};
  let shown = null;

  /** Write the words anew, put together from tokens in a certain way. */
  function build(granularity) {
    const size = SIZES.find(([most]) => record.keyLen <= most)[1];
    root.dataset.size = size;
    const key = textOf(record.keys, "key", granularity, isSelf ? style.roles : {});
    const query = isSelf ? key : textOf(record.queries, "query", granularity, style.roles);
    sides = { query, key };
    const blocks = isSelf
      ? [key.root]
      : [side("Attends", query.root), side("Attended to", key.root)];
    root.replaceChildren(...blocks, ...(isGenerated(record) ? [written] : []), crowded, arcs);
    lines = null;
    enterAt(query.words[0]);
  }

  /** What each word shows: shares of a side's words, given by or to some words of the other. */
  function show(state) {
    shown = state;
    const { shares, side: counted, chosen, key, scale, isSettled } = state;
    const { words } = sides[counted];
    words.forEach((word, number) => {
      const share = shares[number];
      const strength = Number.isNaN(share) ? 0 : Math.sqrt(Math.max(share, 0) / scale);
      word.style.setProperty("--tint", Math.min(strength, 1).toFixed(3));
      const isWritten = share >= LEAST_WRITTEN * scale;
      word.lastChild.textContent = isWritten ? decimal(share) : "";
      if (isSettled) word.setAttribute("aria-label", nameOf(word, share, state));
    });
    const own = isSelf ? sides.key.words : sides[counted === "key" ? "query" : "key"].words;
    for (const word of [...sides.query.words, ...sides.key.words]) {
      const isChosen = own.includes(word) && chosen.includes(own.indexOf(word));
      word.classList.toggle("chosen", isChosen);
      word.classList.toggle("sought", word === words[key] && !isChosen);
      if (isSettled) word.setAttribute("aria-pressed", String(isChosen || word === words[key]));
    }
    beforeFrame(root, connect);
  }

  function nameOf(word, share, { verb }) {
    const parts = [word.dataset.label, word.dataset.role, word.dataset.kind];
    if (word.dataset.generated) parts.push("generated");
    return `${parts.filter(Boolean).join(", ")}: ${verb} ${figure(share)}`;
  }

  /** Numbers below the words, and arcs between them, where the words now stand. */
  function connect() {
    if (!shown || root.clientWidth === 0) return;
    const frame = root.getBoundingClientRect();
    // Of a choice the words stay where they are.
    lines ??= linesOf([...root.querySelectorAll(".word, .label")], frame);
    placeNumbers(frame);
    const { shares, side: counted, chosen, key, scale } = shown;
    const { words } = sides[counted];
    const own = isSelf ? words : sides[counted === "key" ? "query" : "key"].words;
    const strongest = [...shares.keys()]
      .filter((number) => shares[number] >= LEAST_WRITTEN * scale)
      .filter((number) => !isSelf || !chosen.includes(number))
      .filter((number) => !words[number].dataset.kind)
      .sort((a, b) => shares[b] - shares[a]);
    const isLong = root.clientHeight > (FEW_LINES + 0.5) * lineHeight();
    const ends = (isLong ? strongest.slice(0, MOST_ARCS) : strongest).map((number) => ({
      word: words[number],
      strength: Math.min(shares[number] / scale, 1),
      role: words[number].dataset.role ?? (number === key ? "key" : "other"),
    }));
    const origin = own[chosen[0]];
    if (origin) drawArcs(arcs, lines, origin, ends);
    else arcs.replaceChildren();
  }

  /** Numbers of narrow words stand in two rows; where both are full, a word keeps its own to itself. */
  function placeNumbers(frame) {
    const { words } = sides[shown.side];
    const written = new Set(words.filter((word) => word.lastChild.textContent !== ""));
    const most = ROWS[root.dataset.size];
    const placed = lines.map(({ boxes }) => numbersOf(boxes, written, frame));
    const rows = placed.map((numbers) => rowsOfNumbers(numbers, most));
    let without = 0;
    lines.forEach((line, place) => {
      line.numbers = [];
      for (const box of line.boxes) box.number = null;
      placed[place].forEach(({ box, left, right, height, top }, number) => {
        const row = rows[place][number];
        setRow(box.part, row);
        if (row === -1) without += 1;
        else {
          const bottom = top + (row + 1) * height;
          box.number = { left, right, bottom };
          line.numbers.push(box.number);
        }
      });
    });
    crowded.hidden = without === 0;
    crowded.textContent = without === 0 ? "" : crowdedWords(without);
  }

  function lineHeight() {
    return Number.parseFloat(getComputedStyle(root).lineHeight) || 40;
  }

  function enterAt(word) {
    for (const other of root.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    if (word) word.tabIndex = 0;
  }

  const wordAt = (event) => event.target.closest("[data-word-index]");
  const placeOf = (word) => [word.dataset.of, Number(word.dataset.first)];
  const pick = (event) => {
    const word = wordAt(event);
    if (!word) return;
    enterAt(word);
    acts.choose(...placeOf(word), event.shiftKey);
  };
  root.addEventListener("click", pick);
  root.addEventListener("pointerover", (event) => {
    // A finger does not hover: it chooses.
    if (event.pointerType === "touch") return;
    const word = wordAt(event);
    acts.point(...(word ? placeOf(word) : [null]));
  });
  root.addEventListener("pointerleave", () => acts.point(null));
  root.addEventListener("focusin", (event) => {
    const word = wordAt(event);
    if (word) enterAt(word);
  });
  root.addEventListener("keydown", (event) => {
    const word = wordAt(event);
    if (!word) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pick(event);
      return;
    }
    const next = lineMoves(word, [...new Set([...sides.query.words, ...sides.key.words])], event);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
  });
  onWidth(root, () => {
    lines = null;
    connect();
  });
  return { root, build, show, sides: () => sides, arcs };
}

/** Where the numbers of a line stand, each in the first row. */
function numbersOf(boxes, written, frame) {
  const seen = new Set();
  const own = boxes.filter(({ part }) => written.has(part) && !seen.has(part) && seen.add(part));
  return own
    .map((box) => {
      const { left, right, height } = box.part.lastChild.getBoundingClientRect();
      return { box, left: left - frame.left, right: right - frame.left, height, top: box.bottom };
    })
    .sort((a, b) => a.left - b.left);
}

/** In which row its number stands; in none, it is still the word's own. */
function setRow(word, row) {
  const number = word.lastChild;
  const isNone = row === -1;
  number.style.setProperty("--number-row", String(Math.max(row, 0)));
  number.classList.toggle("unseen-number", isNone);
  word.title = isNone ? number.textContent : "";
}

function crowdedWords(count) {
  return count === 1
    ? "One number has no room below its word; rest the pointer on the word to read it."
    : `${whole(count)} numbers have no room below their words; rest the pointer on a word to read its own.`;
}

/** A side of a text, with its name. */
function side(name, text) {
  return element("div", { class: "words-side" }, [element("p", { class: "label" }, name), text]);
}

/** One text as words; the texts of a pair stand below each other. */
export function textOf(sequence, name, granularity, roles) {
  const { groups, groupOf } = groupsOf(sequence, granularity);
  const lines = [];
  let text = null;
  const words = groups.map((group, number) => {
    const [first] = group;
    const word = wordOf(sequence, group, number, { name, granularity, roles });
    const own = sequence.sequences[first];
    const last = lines.at(-1)?.lastChild;
    if (number === 0 || (own !== null && text !== null && own !== text)) {
      lines.push(element("p", { class: "words-line", dir: directionOf(sequence, own) }, word));
    } else if (isBound(last, word)) {
      bind(last, word);
    } else {
      lines.at(-1).append(...(sequence.glued[first] ? [word] : [" ", word]));
    }
    text = own ?? text;
    return word;
  });
  return { root: element("div", { class: "words-text" }, lines), words, groups, groupOf, sequence };
}

/** Whether two parts of a line stay together: a special token alone on a line would look like text. */
function isBound(last, word) {
  const parts = [last, word];
  const isShort = parts.every(({ textContent }) => textContent.length <= LONGEST_BOUND);
  return isShort && parts.some((part) => part.matches("[data-kind]"));
}

function bind(last, word) {
  const bound = element("span", { class: "words-bound" });
  last.replaceWith(bound);
  bound.append(last, " ", word);
}

/** Which way a text runs: as its first letter does; the names of special tokens say nothing. */
function directionOf({ labels, special, sequences }, text) {
  const isOwn = (index) => !special[index] && (text === null || sequences[index] === text);
  const letters = labels.filter((_, index) => isOwn(index)).join("");
  return runsLeft(letters.match(/\p{L}/u)?.[0] ?? "") ? "rtl" : "ltr";
}

function wordOf(sequence, group, number, { name, granularity, roles }) {
  const [first] = group;
  const isWord = granularity === "word" && sequence.words[first] !== null;
  const label = labelOf(sequence, first, granularity);
  const isSpecial = Boolean(sequence.special[first]);
  const isUnknown = group.some((index) => sequence.unknown[index]);
  const isWritten = group.some((index) => sequence.generated?.[index]);
  const role = group.map((index) => roles?.[index]).find(Boolean);
  // Words of one language keep their order in the other's line; pieces of words stand apart.
  const made = element(isWord ? "span" : "bdi", {
    role: "button",
    tabindex: -1,
    class: "word",
    "data-word-index": number,
    "data-first": first,
    "data-of": name,
    "data-label": label,
    "data-role": role,
    "data-kind": isSpecial ? "special token" : null,
    "data-unknown": isUnknown ? "true" : null,
    "data-generated": isWritten ? "true" : null,
    "aria-pressed": "false",
  });
  made.append(
    element(role === "differs" ? "em" : "span", { class: "word-text" }, label),
    element("small", { "aria-hidden": "true" }),
  );
  return made;
}

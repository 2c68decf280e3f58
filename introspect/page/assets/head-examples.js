// The examples of a head: lines of tinted text to walk through, and the chosen one as the sentence.
import { element, runsLeft } from "./dom.js";
import { counted, decimal, whole } from "./numbers.js";
import { groupsOf } from "./shares.js";
import { sentenceWords } from "./words.js";

const FULL = 255;

/**
 * The examples of a head.
 * @param {Object[]} examples with tokens, the row's weights at 8 bits, and the places in it
 * @param {[string, string][]} sets names and titles
 * @param {string} head its name
 * @param {Element} finding what is said of the head, below the chosen example
 * @returns {{root: Element, choose: (number: number) => void}}
 */
export function exampleList(examples, sets, head, finding) {
  const stage = element("div", { class: "example-stage" });
  const said = element("p", { class: "note", "aria-live": "polite" });
  const lines = examples.map((example, number) => lineOf(example, number));
  const count = element("output", {});
  let entered = null;

  function choose(number) {
    const example = examples[number];
    if (!example) {
      said.textContent = "No row of this head could be kept.";
      return;
    }
    for (const line of lines) line.setAttribute("aria-current", "false");
    lines[number].setAttribute("aria-current", "true");
    if (entered) entered.tabIndex = -1;
    entered = lines[number];
    entered.tabIndex = 0;
    show(stage, example);
    const { labels } = example.tokens;
    const key = example.key < 0 ? "" : ` to “${labels[example.key]}”`;
    said.textContent = `${head} in ${example.id}: ${decimal(example.weight)} from “${labels[example.query]}”${key}.`;
  }

  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -lines.length, End: lines.length }[event.key];
    const at = lines.indexOf(event.target.closest(".example-line"));
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const seen = lines.filter((line) => !line.hidden);
    const place = seen.indexOf(lines[at]);
    const next = seen[Math.min(Math.max(place + step, 0), seen.length - 1)];
    choose(lines.indexOf(next));
    next.focus();
  }

  const input = element("input", { type: "search", name: "find-example", size: 18 });
  input.addEventListener("input", () => {
    const sought = input.value.trim().toLocaleLowerCase();
    lines.forEach((line) => {
      line.hidden = !line.textContent.toLocaleLowerCase().includes(sought);
    });
    const left = lines.filter((line) => !line.hidden).length;
    count.textContent = sought ? `${whole(left)} of ${counted(lines.length, "example")}` : "";
  });
  const find = element("label", { class: "control" }, [
    element("span", { class: "label" }, "Find in the examples"),
    input,
    count,
  ]);
  const groups = sets.map(([name, title], number) => {
    const own = lines.filter((_, at) => examples[at].set === name);
    const heading = element("summary", {}, `${title} (${whole(own.length)})`);
    const group = element("details", { class: "example-set" }, [heading, element("div", {}, own)]);
    group.open = number === 0;
    return group;
  });
  const legend = element("p", { class: "note" }, [
    "Line under: ",
    element("span", { class: "example-token query" }, "the token that attends"),
    ", ",
    element("span", { class: "example-token key" }, "the one that it attends to most"),
    ". Tint: what each token gets.",
  ]);
  const root = element("div", { class: "examples" }, [
    stage,
    said,
    finding,
    find,
    legend,
    ...groups,
  ]);
  root.addEventListener("keydown", walk);
  root.addEventListener("click", (event) => {
    const line = event.target.closest(".example-line");
    if (line) choose(lines.indexOf(line));
  });
  return { root, choose };
}

/** One example as a line of text around its query and key. */
function lineOf(example, number) {
  const { tokens, row, query, key } = example;
  const own = tokens.special.flatMap((flag, place) => (flag ? [] : [place]));
  const [isCutBefore, isCutAfter] = example.isCut;
  const parts = tokens.labels.flatMap((label, place) => {
    const said = tokens.glued[place] ? label.replace(/^##(?=.)/, "") : label;
    const word = element("bdi", { class: "example-token" }, said);
    word.style.setProperty("--tint", Math.sqrt(row[place] / FULL).toFixed(3));
    if (place === query) word.classList.add("query");
    if (place === key) word.classList.add("key");
    const before = isCutBefore && place === own[0] ? [" …"] : [];
    const after = isCutAfter && place === own.at(-1) ? [" …"] : [];
    return [...before, ...(tokens.glued[place] && !before.length ? [] : [" "]), word, ...after];
  });
  const text = element(
    "span",
    { class: "example-text", dir: runsLeft(tokens.labels.join("")) ? "rtl" : "ltr" },
    parts,
  );
  const button = element("div", {
    role: "button",
    tabindex: number === 0 ? 0 : -1,
    class: "example-line",
    "data-text-id": example.id,
    "data-query": example.place[0],
    "data-key": example.place[1],
    "data-weight": example.weight,
  });
  button.append(element("span", { class: "example-weight" }, decimal(example.weight)), text);
  button.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      button.click();
    }
  });
  return button;
}

/** The row of an example as the sentence: each word with what the query's token gives it. */
function show(stage, { tokens, row, query, key, weight }) {
  const record = { keys: tokens, queries: tokens, keyLen: tokens.labels.length };
  const none = () => {};
  const words = sentenceWords(record, {}, { choose: none, point: none });
  words.build("token");
  stage.replaceChildren(words.root);
  const { groupOf } = groupsOf(tokens, "token");
  words.show({
    // The weight that the example is about is known to more digits than the row.
    shares: row.map((code, place) => (place === key ? weight : code / FULL)),
    side: "key",
    chosen: [groupOf[query]],
    key: key < 0 ? null : groupOf[key],
    scale: 1,
    isSettled: true,
    verb: "gets",
  });
}

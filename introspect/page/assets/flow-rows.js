// The tokens beside a flow view: one to a row; of a long text, those that no path touches together.
import { element } from "./dom.js";
import { counted, percent } from "./numbers.js";
import { tokenButton, walkWithArrows } from "./tokens.js";

const ROW = 26;
const LOW_ROW = 16;
const LABEL = 14;
// Where every token has a row, the picture is no taller than this.
const TALLEST = 880;
// A canvas of many screens is slow to draw, and a picture that is never seen whole.
const TALLEST_FOLDED = 1760;
const FEW = 24;
/** A text of more tokens is folded. */
export const MOST_ROWS = 48;

/** Where each token stands: rows from the top, in pixels. */
export function rowsOf(size, touched, hasReadings) {
  const isFolded = size > MOST_ROWS && touched.size < size;
  const lines = [];
  for (let token = 0; token < size; token += 1) {
    if (!isFolded || touched.has(token)) lines.push({ tokens: [token], isFold: false });
    else if (lines.at(-1)?.isFold) lines.at(-1).tokens.push(token);
    else lines.push({ tokens: [token], isFold: true });
  }
  const usual = lines.length <= FEW || hasReadings ? ROW : LOW_ROW;
  const most = isFolded ? TALLEST_FOLDED : TALLEST;
  const height = lines.length <= MOST_ROWS ? usual : Math.min(usual, most / lines.length);
  const middles = new Float64Array(size);
  lines.forEach((line, place) => {
    line.middle = (place + 0.5) * height;
    for (const token of line.tokens) middles[token] = line.middle;
  });
  return { lines, height, middles, total: Math.ceil(lines.length * height) };
}

/** The labels of rows: tokens to choose, with what of the chosen word comes from each. */
export class FlowLabels {
  constructor(sequence, acts) {
    Object.assign(this, { sequence, acts });
    this.root = element("div", { class: "flow-labels", role: "group", "aria-label": "Tokens" });
  }

  show({ lines, height, total }) {
    const every = Math.ceil(LABEL / height);
    this.items = lines
      .filter((_, place) => place % every === 0)
      .map((line) => (line.isFold ? this.fold(line) : this.label(line)));
    const buttons = this.items.map(({ button }) => button).filter(Boolean);
    walkWithArrows(buttons);
    this.root.style.height = `${total}px`;
    this.root.style.setProperty("--flow-row", `${Math.max(height, LABEL)}px`);
    this.root.replaceChildren(...this.items.map(({ root }) => root));
  }

  fold({ tokens, middle }) {
    const text = `… ${counted(tokens.length, "token")} …`;
    return { root: placed(element("div", { class: "flow-fold" }, text), middle), button: null };
  }

  label({ tokens: [token], middle }) {
    const { sequence, acts } = this;
    const button = tokenButton(sequence.labels[token], "query", token, {
      isSpecial: sequence.special[token],
      isUnknown: sequence.unknown[token],
      isGenerated: sequence.generated?.[token],
    });
    const name = button.getAttribute("aria-label");
    button.addEventListener("click", () => acts.choose(token));
    button.addEventListener("pointerenter", () => acts.point(token));
    button.addEventListener("pointerleave", () => acts.point(null));
    const share = element("span", { class: "flow-share", "aria-hidden": "true" });
    const root = placed(element("div", { class: "flow-label" }, [button, share]), middle);
    return { root, button, share, token, name };
  }

  /** Beside each token, how much of the chosen word comes from it. */
  count(amountOf, chosen) {
    for (const { button, share, token, name } of this.items) {
      if (!button) continue;
      const amount = amountOf(token);
      share.textContent = amount >= 0.005 ? percent(amount, 0) : "";
      button.setAttribute("aria-label", amount === null ? name : `${name}: ${percent(amount)}`);
      button.setAttribute("aria-pressed", String(chosen.includes(token)));
    }
  }
}

function placed(root, middle) {
  root.style.top = `${middle}px`;
  return root;
}

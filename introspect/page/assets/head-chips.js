// The heads of a layer as chips: click toggles, double-click isolates.
import { element } from "./dom.js";
import { walkWithArrows } from "./tokens.js";

/**
 * A row of chips.
 * @param {string[]} colors one for each head
 * @param {number[]} shown the heads shown first
 * @param {(heads: number[]) => void} onChange called with the heads that are shown, in order
 */
export function headChips(colors, shown, onChange) {
  let active = new Set(shown);
  const all = colors.map((_, head) => head);
  const chips = colors.map((color, head) => {
    const chip = element(
      "button",
      { type: "button", name: "head", "data-head": head, class: "chip", title: `Head ${head}` },
      String(head),
    );
    chip.setAttribute("aria-label", `Head ${head}`);
    chip.style.setProperty("--color", color);
    chip.addEventListener("click", (event) => {
      // A double click comes as two clicks first; together they change nothing.
      if (event.shiftKey) isolate(head);
      else toggle(head);
    });
    chip.addEventListener("dblclick", (event) => {
      if (!event.shiftKey) isolate(head);
    });
    chip.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        isolate(head);
      }
    });
    return chip;
  });

  function show(heads, tell = true) {
    active = new Set(heads);
    for (const [head, chip] of chips.entries()) {
      chip.setAttribute("aria-pressed", String(active.has(head)));
    }
    if (tell) onChange(all.filter((head) => active.has(head)));
  }

  function toggle(head) {
    const next = new Set(active);
    if (!next.delete(head)) next.add(head);
    show(next);
  }

  /** Only this head; again brings all back. */
  function isolate(head) {
    show(active.size === 1 && active.has(head) ? all : [head]);
  }

  const shortcut = (name, heads) => {
    const button = element("button", { type: "button", class: "plain" }, name);
    button.addEventListener("click", () => show(heads));
    return button;
  };
  const root = element("div", { class: "chips", role: "group", "aria-label": "Heads" }, [
    element("span", { class: "label" }, "Heads"),
    ...chips,
    shortcut("all", all),
    shortcut("none", []),
  ]);
  walkWithArrows(chips, ["ArrowLeft", "ArrowRight"]);
  show(shown, false);
  return { root, show };
}

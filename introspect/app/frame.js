// Run within a view's page, before the page's own script: how a page behaves in the app's frame.
{
  const root = document.documentElement;

  // Tell the frame around it how tall the page is, now and after each change, so that nothing is
  // cut and no gap is left. Streamlit listens for this message.
  new ResizeObserver(() => {
    const { width, height } = document.body.getBoundingClientRect();
    // What is only read aloud stands below the page, a pixel tall.
    const size = { width: Math.ceil(width), height: Math.ceil(height + 1) };
    window.parent.postMessage({ type: "streamlit:iframe:setSize", ...size }, "*");
  }).observe(document.body);

  // Keep what is chosen: another view of the same text, and the page after a reload, begin with it.
  // It is in the app's address too. What either says is only taken if it has this form, and by the
  // page's own script only if it fits the page.
  const KEPT = "introspect.selection";
  const FORM = /^(L\d{1,9}H\d{1,9})(?:\.q(\d{1,9}))?(?:\.k(\d{1,9}))?$/;
  const text = document.querySelector("h1")?.textContent ?? "";

  const kept = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEPT));
    } catch {
      return null;
    }
  };
  const begins = () => {
    const before = kept();
    if (before) return before.text === text ? String(before.selection) : "";
    return window.parent.location.hash.slice(1);
  };
  const [, head, query = "none", key = "none"] = begins().match(FORM) ?? [];
  if (head) {
    location.hash = `selection.head=${head}&selection.query=${query}&selection.key=${key}`;
  }
  let first = null;
  new MutationObserver(() => {
    const { selection } = root.dataset;
    first ??= selection;
    if (selection === first && kept()?.text !== text) return;
    sessionStorage.setItem(KEPT, JSON.stringify({ text, selection }));
    const { history, location: outer } = window.parent;
    history.replaceState(history.state, "", `${outer.pathname}${outer.search}#${selection}`);
  }).observe(root, { attributes: true, attributeFilter: ["data-selection"] });

  // Pages of an atlas link to each other as files of a folder; here each is a part of the app.
  const HEAD = /(?:^|\/)(L\d{1,9}H\d{1,9})\.html$/;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]")?.getAttribute("href") ?? "";
    const [, card] = link.match(HEAD) ?? [];
    if (!card && link !== "../index.html") return;
    event.preventDefault();
    const address = new URL(window.parent.location.href);
    address.searchParams.delete("part");
    address.searchParams.delete("card");
    if (card) address.searchParams.set("card", card);
    // The frame may not lead its parent elsewhere; a link of the parent may.
    const way = window.parent.document.createElement("a");
    way.href = address;
    way.click();
  });

  // Translate labels and sentences: what stands for {} in one stands there in the other too. Words
  // of the text, and what is in tables, are left alone.
  const words = JSON.parse(document.getElementById("app-words").textContent);
  const patterns = Object.entries(words)
    .filter(([english]) => english.includes("{}"))
    .map(([english, chinese]) => {
      const parts = english.split("{}").map((part) => part.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
      // With few words of its own, it would fit many a sentence.
      const value = english.length > 12 ? "(.+?)" : "(\\S+)";
      return [new RegExp(`^${parts.join(value)}$`), chinese];
    });
  const LABELS =
    "option, label, summary, button, h1, h2, h3, output, caption, p.lead, p.live, p.reading, " +
    "p.strip-together, p.notice, p.note, p.legend, p.total, p.strip-legend, p.matrix-note, p.detail-cell, p.label, " +
    ".scale-words, .matrix-corner, .layer-corner, span.label, thead th, .detail-facts th, dt, " +
    ".controls > *, figcaption, .map-name, .atlas-said a, .head-nav a";
  const LEFT_ALONE =
    "[data-word-index], [data-token-index], select[name=token] *, td, tbody th, pre, bdi, h1.unseen";
  // Headings of rows that are no tokens.
  const NAMED = ".detail-facts th, .compare-row thead th, .drawn-facts dt";

  const translated = (english) => {
    if (Object.hasOwn(words, english)) return words[english];
    for (const [pattern, chinese] of patterns) {
      const values = english.match(pattern)?.slice(1);
      if (values) return chinese.replaceAll("{}", () => values.shift());
    }
    return null;
  };
  // What is put together from sentences is translated one by one, if all of them can be.
  const inChinese = (english) => {
    const whole = translated(english);
    if (whole !== null) return whole;
    const sentences = english.split(/(?<=\.) (?=[A-Z])/).map(translated);
    return sentences.includes(null) ? null : sentences.join("");
  };
  const translate = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const place = node.parentElement;
      const isLeft = place?.closest(LEFT_ALONE) && !place.closest(NAMED);
      const isLabel = place?.closest(LABELS) && !isLeft;
      const chinese = isLabel ? inChinese(node.data.trim()) : null;
      if (chinese !== null) node.data = node.data.replace(node.data.trim(), () => chinese);
      return;
    }
    for (const child of node.childNodes) translate(child);
  };
  if (Object.keys(words).length > 0) {
    root.lang = "zh";
    translate(document.body);
    new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        for (const node of addedNodes.length > 0 ? addedNodes : [target]) translate(node);
      }
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  }
}

// What folds: the chapters of a report, and the list that one of many items is chosen from.
import { element, labeled } from "./dom.js";
import { isCompact } from "./frame.js";
import { pushLink, readLink, writeLink } from "./link.js";
import { whole } from "./numbers.js";

/** Open what a part of the page is folded into, and go there. */
export function goTo(part) {
  const chapter = part.closest("details.chapter");
  if (chapter) chapter.open = true;
  // Of an item of a chapter, what is to be seen is further down than the chapter's beginning.
  const place = part.matches(".item") ? part : (chapter ?? part);
  (chapter ?? part).querySelector("h2")?.focus({ preventScroll: true });
  place.scrollIntoView({ block: "start" });
}

/** Choose one of the items of a list, by what they are and its place, and go to it. */
export function goToItem(of, place) {
  const list = document.querySelector(`.choice[data-of="${of}"]`);
  const button = list?.querySelectorAll(".choice-list button")[place];
  if (!button) return;
  button.click();
  goTo(document.getElementById(button.dataset.item));
}

/** Call back once nothing that holds this part is folded or hidden; at once if nothing is. */
export function whenSeen(part, callback) {
  const folded = part.parentElement.closest("details:not([open]), .item[hidden]");
  if (!folded) return callback();
  folded.addEventListener("toggle", () => whenSeen(part, callback), { once: true });
  return null;
}

/** Make the contents, the chapters and the choices of the page work. */
export function mountChapters() {
  const chapters = [...document.querySelectorAll("details.chapter")];
  const closed = (readLink("page").closed ?? "").split(",");
  for (const chapter of chapters) {
    chapter.open = !isCompact() && !closed.includes(numberOf(chapter));
    chapter.addEventListener("toggle", () => keep(chapters));
  }
  for (const contents of document.querySelectorAll("nav.contents")) {
    mountContents(contents, chapters);
  }
  document.querySelectorAll(".choice").forEach((choice, index) => {
    mountChoice(choice, index === 0 ? "item" : `item${index + 1}`);
  });
  for (const list of document.querySelectorAll("ol.index")) searchable(list, list.dataset.of);
  window.addEventListener("popstate", () => returnTo(chapters));
  window.addEventListener("beforeprint", () => {
    openAll([...chapters, ...document.querySelectorAll("details.more")], true);
  });
}

/** Go where the address says that one was: to a chapter, or to the top of the page. */
export function returnTo(chapters = [...document.querySelectorAll("details.chapter")]) {
  const { at } = readLink("page");
  const chapter = chapters.find((one) => numberOf(one) === at);
  if (chapter) goTo(chapter);
  else window.scrollTo({ top: 0 });
}

function numberOf(chapter) {
  return chapter.id.replace("chapter-", "");
}

function keep(chapters) {
  const closed = chapters.filter((chapter) => !chapter.open).map(numberOf);
  writeLink("page", { closed: closed.join(",") || null });
}

function openAll(chapters, open) {
  for (const chapter of chapters) chapter.open = open;
}

function mountContents(contents, chapters) {
  // The address holds the state of the views; an anchor in it would drop that.
  contents.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    const chapter = document.getElementById(link.hash.slice(1));
    pushLink("page", { at: numberOf(chapter) });
    goTo(chapter);
  });
  const button = (name, words, open) => {
    const made = element("button", { type: "button", class: "plain", name }, words);
    made.addEventListener("click", () => openAll(chapters, open));
    return made;
  };
  const buttons = [button("unfold", "Open all", true), button("fold", "Close all", false)];
  contents.append(element("div", { class: "folding" }, buttons));
}

/** A search field before a list: what does not hold the words is hidden. */
function searchable(list, of) {
  const items = [...list.children];
  const count = element("output", {});
  const search = element("input", { type: "search", name: "search-items" });
  const show = () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    for (const item of items) {
      item.hidden = !item.textContent.toLocaleLowerCase().includes(wanted);
    }
    const matching = items.filter((item) => !item.hidden).length;
    count.textContent = `${whole(matching)} of ${whole(items.length)} ${of}`;
  };
  search.addEventListener("input", show);
  list.before(element("div", { class: "controls" }, [labeled("search", search, count)]));
  show();
}

/**
 * A list to choose from; the chosen item is the only one that is shown.
 * @param {string} name what the address calls the choice
 */
function mountChoice(choice, name) {
  const list = choice.querySelector(".choice-list");
  const buttons = [...list.querySelectorAll("button")];
  searchable(list, choice.dataset.of);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(choice, buttons, button);
      writeLink("page", { [name]: button === buttons[0] ? null : itemOf(button) });
    });
  }
  mountArrows(list);
  const linked = readLink("page")[name];
  choose(choice, buttons, buttons.find((button) => itemOf(button) === linked) ?? buttons[0]);
}

function itemOf(button) {
  return button.dataset.item.replace("item-", "");
}

function choose(choice, buttons, chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
  for (const item of choice.querySelectorAll(".item")) {
    item.hidden = item.id !== chosen.dataset.item;
    // As a chapter tells that it was opened.
    if (!item.hidden) item.dispatchEvent(new Event("toggle"));
  }
}

/** The arrows walk through a list whose buttons Tab would take one by one. */
function mountArrows(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = [...list.querySelectorAll("li:not([hidden]) button")];
    shown[shown.indexOf(document.activeElement) + step]?.focus();
  });
}

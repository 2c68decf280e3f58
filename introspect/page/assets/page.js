// Start the page: unpack what it carries, then make each view in its section.
import { mountChapters, returnTo, whenSeen } from "./chapters.js";
import { PageArray, readPage, unpackJson } from "./data.js";
import { element } from "./dom.js";
import { noteRecord } from "./exporting.js";
import { foldLeads, tellHeight } from "./frame.js";
import { readLink } from "./link.js";
import { loadPlotly, restWhenAway } from "./plot.js";
import { followPrinting } from "./print.js";
import { mountTables } from "./tables.js";
import { themeSwitch } from "./theme.js";

async function mountSection(page, description, mounts) {
  const section = document.getElementById(description.id);
  if (section.dataset.mounted) return;
  section.dataset.mounted = "true";
  const record = page.records[description.record] ?? null;
  noteRecord(section, record);
  const others = description.others.map((number) => page.records[number]);
  const arrays = Object.entries(description.arrays).map(([name, json]) => [
    name,
    new PageArray(`array-${description.id}-${name}`, json),
  ]);
  for (const one of [record, ...others, ...arrays.map(([, array]) => array)]) await one?.load();
  const packed = description.isPacked ? await unpackJson(`packed-${description.id}`) : null;
  const style = { ...description.state, arrays: Object.fromEntries(arrays), packed };
  await mounts[description.script](section, style, record, others);
  section.dispatchEvent(new Event("introspect:mounted"));
  restWhenAway(section);
}

function fail(error) {
  const message = `The views could not be drawn: ${error.message}. The words and tables stand.`;
  document.querySelector("main").prepend(element("p", { class: "notice", role: "alert" }, message));
  document.documentElement.dataset.ready = "error";
}

async function run(mounts) {
  const page = readPage();
  document.querySelector("main").prepend(element("div", { class: "tools" }, themeSwitch()));
  if (document.getElementById("plotly")) await loadPlotly();
  foldLeads();
  mountChapters();
  mountTables();
  followPrinting();
  for (const description of page.sections) {
    const section = document.getElementById(description.id);
    await whenSeen(section, () => mountSection(page, description, mounts).catch(fail));
  }
  document.documentElement.dataset.ready ??= "true";
  tellHeight();
  // Only now are the chapters as tall as they stay.
  if (readLink("page").at) returnTo();
}

/** Start the page.
 *
 * @param {Object<string, Function>} mounts - for each kind of view what makes it in its section.
 */
export function start(mounts) {
  run(mounts).catch(fail);
}

// Start the page: unpack what it carries, then make each view in its section.
import { mountCausalView } from "./causal.js";
import { mountChapters, whenSeen } from "./chapters.js";
import { mountCompareView } from "./compare.js";
import { mountCoreferenceView } from "./coreference.js";
import { PageArray, readPage } from "./data.js";
import { element } from "./dom.js";
import { mountEffectMapView } from "./effect-map.js";
import { mountEvolutionView } from "./evolution.js";
import { mountForestView } from "./forest.js";
import { mountHeadView } from "./head.js";
import { mountHeatmapView } from "./heatmap.js";
import { mountImageView } from "./image.js";
import { mountLayerView } from "./layer.js";
import { mountLensView } from "./lens.js";
import { mountLogitsView } from "./logits.js";
import { mountModelView } from "./model.js";
import { mountNeuronView } from "./neuron.js";
import { loadPlotly } from "./plot.js";
import { followPrinting } from "./print.js";
import { mountRoleMapView } from "./role-map.js";
import { mountScoreMapView } from "./score-map.js";
import { mountStepsView } from "./steps.js";
import { themeSwitch } from "./theme.js";

const MOUNTS = {
  causal: mountCausalView,
  compare: mountCompareView,
  coreference: mountCoreferenceView,
  "effect-map": mountEffectMapView,
  evolution: mountEvolutionView,
  forest: mountForestView,
  head: mountHeadView,
  heatmap: mountHeatmapView,
  image: mountImageView,
  layer: mountLayerView,
  lens: mountLensView,
  logits: mountLogitsView,
  model: mountModelView,
  neuron: mountNeuronView,
  "role-map": mountRoleMapView,
  "score-map": mountScoreMapView,
  steps: mountStepsView,
};

async function mountSection(page, description) {
  const section = document.getElementById(description.id);
  if (section.dataset.mounted) return;
  section.dataset.mounted = "true";
  const record = page.records[description.record] ?? null;
  const others = description.others.map((number) => page.records[number]);
  const arrays = Object.entries(description.arrays).map(([name, json]) => [
    name,
    new PageArray(`array-${description.id}-${name}`, json),
  ]);
  for (const one of [record, ...others, ...arrays.map(([, array]) => array)]) await one?.load();
  const style = { ...description.state, arrays: Object.fromEntries(arrays) };
  await MOUNTS[section.dataset.view](section, style, record, others);
  section.dispatchEvent(new Event("introspect:mounted"));
}

function fail(error) {
  const message = `The views could not be drawn: ${error.message}. The words and tables stand.`;
  document.querySelector("main").prepend(element("p", { class: "notice", role: "alert" }, message));
  document.documentElement.dataset.ready = "error";
}

async function start() {
  const page = readPage();
  document.querySelector("main").prepend(element("div", { class: "tools" }, themeSwitch()));
  if (page.sections.length > 0) await loadPlotly();
  mountChapters();
  followPrinting();
  for (const description of page.sections) {
    const section = document.getElementById(description.id);
    await whenSeen(section, () => mountSection(page, description).catch(fail));
  }
  document.documentElement.dataset.ready ??= "true";
}

start().catch(fail);

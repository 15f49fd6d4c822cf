// The explorable: controls, and what the worker reports. `mount` puts it into an element; nothing is
// fetched and nothing moves until the reader presses Start or One step.
import { digitSheet, makeCurves, makeDigits, makeHistograms, makeStatistics, logarithmic, percent, shares, short, thousands } from "./train_here_pictures.js";
import { CHOICES, describe, fromAddress, MAX_SEED, MODES, NAMES, toAddress, toRace } from "./train_here_settings.js";

const SPOKEN = 5000; // milliseconds between two reports to a screen reader

const list = ([name, [words, values]]) => `<label><span>${words}</span><select data-set="${name}">
${values.map((value) => `<option value="${value}">${NAMES[value] ?? value}</option>`).join("")}</select></label>`;

const side = (name) => `<section class="bntr-side bntr-${name}" data-side="${name}">
<p><strong data-out="name"></strong> <span data-out="numbers"></span></p>
<p class="bntr-caption">What each hidden layer's ReLU receives, from the current batch</p><svg data-draw="histograms"></svg>
<p class="bntr-caption">Validation digits and its answers</p><canvas data-draw="digits" role="img" aria-label="Validation digits appear after the start"></canvas>
<div data-box="statistics"><p class="bntr-caption">First hidden layer, a point for each unit</p><svg data-draw="statistics"></svg></div>
<p class="bntr-caption" data-box="stateless" hidden>It keeps no running statistics: training and evaluation compute the same.</p>
</section>`;

const template = (uid) => `
<div class="bntr-bar">
<button type="button" data-do="toggle" class="bntr-start">Start</button>
<button type="button" data-do="step">One step</button>
<button type="button" data-do="reset">Reset</button>
<span class="bntr-step"><b data-out="step">step 0</b> <small data-out="rate"></small></span>
</div>
<p class="bntr-note" data-out="note"></p>
<div class="bntr-controls">${Object.entries(CHOICES).map(list).join("")}
<label><span>seed</span><input type="number" data-set="seed" min="0" max="${MAX_SEED}" step="1" inputmode="numeric"></label></div>
<fieldset><legend>Validate with</legend>
${Object.entries(MODES).map(([mode, words]) => `<label><input type="radio" name="bntr-${uid}" value="${mode}"><span>${words}</span></label>`).join("")}</fieldset>
<div class="bntr-pair"><svg data-draw="losses"></svg><svg data-draw="accuracies"></svg></div>
<div class="bntr-pair">${side("left")}${side("right")}</div>
<p class="bntr-end"><a data-out="address" href="#">Address of this setting</a> <button type="button" data-do="restore">First setting</button></p>
<p class="bntr-sr" role="status" aria-live="polite"></p>`;

// `source` starts a worker; `digits()` promises the packed digits, and `weight` says how much that is.
export function mount(el, { settings, source, digits, weight, addressed }) {
  const uid = (globalThis.bnkitTrainHeres = (globalThis.bnkitTrainHeres || 0) + 1);
  const root = Object.assign(document.createElement("div"), { className: "bntr", innerHTML: template(uid) });
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Train it here");
  root.querySelectorAll("input, select, button").forEach((part) => (part.dataset.lmSuppressShortcuts = "true"));
  el.replaceChildren(root);
  const state = { settings: { ...settings }, initial: { ...settings }, running: false, asked: 0, spoken: 0, addressed };
  const parts = { root, find: (selector) => root.querySelector(selector) };
  const pictures = {};
  setTimeout(() => Object.assign(pictures, makePictures(parts))); // a task of its own
  const view = makeView(parts, pictures, state);
  const worker = makeLink({ source, digits, weight }, state, view, pictures);
  listen(parts, state, view, worker);
  if (addressed) {
    const apply = () => { const found = fromAddress(location.hash, state.initial); if (found) change(found, state, view, worker, false); };
    addEventListener("hashchange", apply);
    apply();
  }
  view.settings();
  return { state, worker };
}

function makePictures({ find }) {
  const both = (draw) => Object.fromEntries(["left", "right"].map((name) => [name, draw(find(`[data-side="${name}"]`))]));
  return {
    losses: makeCurves(find('[data-draw="losses"]'), "training loss", logarithmic),
    accuracies: makeCurves(find('[data-draw="accuracies"]'), "validation accuracy (%)", shares),
    histograms: both((box) => makeHistograms(box.querySelector('[data-draw="histograms"]'))),
    statistics: both((box) => makeStatistics(box.querySelector('[data-draw="statistics"]'))),
    digits: null, // made when the digits are there
    setDigits(data) {
      const sheet = digitSheet(data);
      this.digits = both((box) => makeDigits(box.querySelector("canvas"), sheet, data.labels));
    },
  };
}

// ---- what the page shows
function makeView({ root, find }, pictures, state) {
  const out = (name, text, within = root) => { const to = within.querySelector(`[data-out="${name}"]`); if (to.textContent !== text) to.textContent = text; };
  const sideOf = (name) => find(`[data-side="${name}"]`);
  const words = ({ norm, loss, accuracy }) => `${NAMES[norm]}: training loss ${short(loss)}, validation accuracy ${percent(accuracy)}`;
  const view = {
    note: (text) => out("note", text),
    say: (text) => { find("[role=status]").textContent = text; state.spoken = performance.now(); },
    busy(text) {
      root.querySelectorAll("button").forEach((button) => { button.disabled = Boolean(text); });
      if (text) { view.note(text); view.say(text); }
    },
    settings() {
      for (const input of root.querySelectorAll("[data-set]")) input.value = state.settings[input.dataset.set];
      find(`[value="${state.settings.statistics}"]`).checked = true;
      for (const name of ["left", "right"]) {
        const norm = state.settings[name], box = sideOf(name);
        out("name", NAMES[norm], box);
        box.dataset.norm = norm;
        box.querySelector('[data-box="statistics"]').hidden = norm !== "batch";
        box.querySelector('[data-box="stateless"]').hidden = norm === "batch";
      }
      for (const name of ["losses", "accuracies"]) Object.assign(find(`[data-draw="${name}"]`).dataset, { left: state.settings.left, right: state.settings.right });
      find('[data-out="address"]').href = toAddress(state.settings);
      view.note(describe(state.settings));
    },
    run() { find('[data-do="toggle"]').textContent = state.running ? "Pause" : "Start"; },
    seen(seen) {
      if (seen.asked === state.asked) state.running = seen.running; // else Start or Pause is on its way
      view.run();
      out("step", `step ${thousands(seen.step)}`);
      out("rate", seen.rate > 0 ? `${Math.round(seen.rate)} a second` : "");
      ["left", "right"].forEach((name, k) => {
        const { loss, accuracy } = seen.sides[k];
        out("numbers", `${seen.step ? `loss ${short(loss)}, ` : ""}validation ${percent(accuracy)}`, sideOf(name));
      });
      const text = `Step ${seen.step}. ${seen.sides.map(words).join(". ")}.`;
      if (!seen.running || performance.now() - state.spoken > SPOKEN) view.say(text);
    },
  };
  view.settings();
  return view;
}

// Each of the parts is drawn in a frame of its own, so that the page never waits for all of them.
const frame = () => new Promise(requestAnimationFrame);
function makeQueue(view, pictures, drawn) {
  const parts = [(seen) => drawCurves(pictures, seen), (seen) => drawSides(pictures, seen),
    ({ sides }) => pictures.digits.left(sides[0].answers),
    (seen) => { pictures.digits.right(seen.sides[1].answers); view.seen(seen); drawn(); }];
  let newest = null, busy = false;
  return async (seen) => {
    newest = seen;
    if (busy) return;
    busy = true;
    while (newest) {
      const now = newest;
      newest = null;
      for (const part of parts) {
        await frame();
        part(now);
      }
    }
    busy = false;
  };
}

function drawCurves(pictures, { step, sides }) {
  const last = (values) => (values.length ? short(values.at(-1)) : "none yet");
  pictures.losses(sides.map((s) => s.losses), step, `Training loss against steps. ${sides.map((s) => `${NAMES[s.norm]}: ${last(s.losses.values)}`).join(", ")}`);
  const inPercent = sides.map(({ accuracies: { steps, values } }) => ({ steps, values: values.map((v) => 100 * v) }));
  pictures.accuracies(inPercent, step, `Validation accuracy in percent against steps. ${sides.map((s) => `${NAMES[s.norm]}: ${percent(s.accuracy)}`).join(", ")}`);
}

function drawSides(pictures, { sides }) {
  ["left", "right"].forEach((name, k) => {
    pictures.histograms[name](sides[k].histograms);
    if (sides[k].statistics) pictures.statistics[name](sides[k].statistics);
  });
}

// ---- the worker: made at the first use, with the digits
function makeLink({ source, digits, weight }, state, view, pictures) {
  let worker = null, ready = null;
  const interval = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 100);
  const post = (message) => worker.postMessage(message);
  const draw = makeQueue(view, pictures, () => post({ do: "drawn" }));
  const set = () => post({ do: "set", settings: toRace(state.settings), mode: state.settings.statistics, interval: interval() });

  function receive({ data }, resolve, reject) {
    if (data.trouble) reject(new Error(data.trouble));
    if (data.digits) {
      pictures.setDigits(data.digits);
      resolve();
    }
    if (data.seen) draw(data.seen);
  }
  async function begin() {
    view.busy(`Fetching ${weight} of digits …`);
    const packed = await digits();
    await new Promise((resolve, reject) => {
      worker = source();
      worker.onmessage = (event) => receive(event, resolve, reject);
      worker.onerror = (event) => reject(new Error(event.message || "the worker did not start"));
      post({ do: "load", packed });
    });
    view.busy("");
    view.settings();
    set();
  }
  const load = () => (ready ??= begin().catch((error) => {
    ready = null;
    worker?.terminate();
    state.running = false;
    view.run();
    view.busy("");
    view.note(`It cannot train here: ${error.message}.`);
    view.say(`It cannot train here: ${error.message}.`);
    throw error;
  }));
  const order = (name, more) => load().then(() => post({ do: name, ...more }), () => {});
  return { order, set: () => ready?.then(set, () => {}), loaded: () => Boolean(ready) };
}

// ---- what the reader does
function change(settings, state, view, worker, write = true) {
  const before = toAddress({ ...state.settings, statistics: "" });
  Object.assign(state.settings, settings);
  view.settings();
  if (state.addressed && write) try { history.replaceState(history.state, "", toAddress(state.settings)); } catch { /* a page inside a frame may not */ }
  if (!worker.loaded()) return;
  if (toAddress({ ...state.settings, statistics: "" }) === before) worker.order("mode", { mode: state.settings.statistics });
  else worker.set();
}

function listen({ root }, state, view, worker) {
  const actions = {
    toggle() {
      worker.order(state.running ? "pause" : "start", { id: ++state.asked });
      state.running = !state.running;
      view.run();
    },
    step: () => worker.order("step"),
    reset() {
      if (state.running) actions.toggle();
      worker.set();
    },
    restore: () => change(state.initial, state, view, worker),
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) actions[button.dataset.do]();
  });
  root.addEventListener("change", ({ target }) => {
    if (target.type === "radio") change({ statistics: target.value }, state, view, worker);
    else if (target.dataset.set) change({ [target.dataset.set]: valueOf(target) }, state, view, worker);
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden && state.running) actions.toggle(); });
}

function valueOf({ dataset: { set }, value }) {
  if (set === "seed") return Math.min(Math.max(Math.round(Number(value)) || 0, 0), MAX_SEED);
  return CHOICES[set][1].find((choice) => String(choice) === value);
}

// The playground of batch normalization, in two homes: an anywidget beside a kernel, and plain
// HTML without one, where `mount` lends it a model. No imports, no requests, no timers.

// ---- arithmetic: pure functions, tested against PyTorch
export function batchStatistics(x) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length; // biased
  return { mean, variance };
}

export function normalize(x, { mean, variance }, { gamma, beta, eps }) {
  const xHat = x.map((v) => (v - mean) / Math.sqrt(variance + eps));
  return { xHat, y: xHat.map((v) => gamma * v + beta) };
}

export function updateRunning(running, x, momentum = 0.1) {
  const { mean, variance } = batchStatistics(x);
  const unbiased = (variance * x.length) / (x.length - 1);
  const blend = (old, fresh) => (1 - momentum) * old + momentum * fresh;
  return { mean: blend(running.mean, mean), variance: blend(running.variance, unbiased) };
}

// mulberry32: one 32-bit word of state, returned with the number drawn
export function random(state) {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return [((t ^ (t >>> 14)) >>> 0) / 2 ** 32, state];
}

// n values of a normal population (Box-Muller), rounded so that every engine agrees
export function drawBatch(n, state, mean, sd) {
  const x = [];
  while (x.length < n) {
    let u, v;
    [u, state] = random(state);
    [v, state] = random(state);
    const z = Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v);
    x.push(round(mean + sd * z));
  }
  return [x, state];
}

// ---- geometry: x in percent of the width, y in pixels; playground.py draws the same picture
const LOW = -8, HIGH = 10, ROWS = [96, 206, 316], LABELS = [-82, -10, 46], HEIGHT = 368;
const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
const round = (v) => clamp(Math.round(v * 100) / 100, LOW, HIGH);
const percent = (v) => clamp(2 + (96 * (v - LOW)) / (HIGH - LOW), 0.8, 99.2);
const outside = (v) => v < LOW || v > HIGH;

// ---- numbers as text
const fixed = (v, digits = 2) => {
  const text = v.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};
const short = (v) => {
  const rounded = Number(v.toPrecision(2));
  return rounded < 0.001 ? rounded.toExponential() : String(rounded);
};
const subscript = (i) => String(i).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

const NAMES = ["x", "gamma", "beta", "eps", "training", "running_mean", "running_var",
  "num_batches_tracked", "population_mean", "population_sd", "seed"];
const X_HAT = "x\u0302";

function slider(name, symbol, word, min, max, step) {
  return `<label class="bnpg-slider"><span><i>${symbol}</i> <small>${word}</small> <b data-out="${name}"></b></span>
<input type="range" data-in="${name}" min="${min}" max="${max}" step="${step}"></label>`;
}

const template = (uid) => `
<div class="bnpg-bar">
<fieldset><legend class="bnpg-sr">Mode</legend>
<label><input type="radio" name="mode-${uid}" value="train"><span>train()</span></label>
<label><input type="radio" name="mode-${uid}" value="eval"><span>eval()</span></label></fieldset>
<button type="button" data-do="next">next batch</button>
<button type="button" data-do="twenty">20 more</button>
<button type="button" data-do="reset">reset</button>
</div>
<div class="bnpg-main">
<svg class="bnpg-picture" width="100%" height="${HEIGHT}" role="group" aria-label="Three number lines: the mini-batch x, normalized, and output y. The points of x can be moved."></svg>
<div class="bnpg-numbers">
<section data-box="batch"><strong>This batch</strong>
<p><i>μ</i> = <b data-out="mean"></b></p>
<p><i>σ</i>² = <b data-out="variance"></b></p></section>
<section data-box="running"><strong>Running</strong> <small>(population)</small>
<p><code>running_mean</code> <b data-out="running_mean"></b> <small data-out="population_mean"></small></p>
<p><code>running_var</code> <b data-out="running_var"></b> <small data-out="population_var"></small></p>
<p><code>num_batches_tracked</code> <b data-out="num_batches_tracked"></b></p></section>
<section><strong>Point <i>x</i><span data-out="index"></span></strong>
<p><span data-out="x_hat_terms"></span> <span>= <b data-out="x_hat"></b></span></p>
<p><span data-out="y_terms"></span> <span>= <b data-out="y"></b></span></p></section>
</div></div>
<div class="bnpg-sliders">
${slider("gamma", "γ", "weight", -3, 3, 0.1)}
${slider("beta", "β", "bias", -3, 3, 0.1)}
${slider("eps", "ε", "eps", -8, 1, 0.5)}
${slider("size", "N", "batch size", 2, 16, 1)}
</div>
<ol class="bnpg-try" aria-label="Three things to try">
<li><b>Pull one point far away.</b> What happens to the ${X_HAT} of all the others, and how far does its own ${X_HAT} get?</li>
<li><b>Make a batch of two.</b> Can you drag them so that ${X_HAT} is not −1 and +1?</li>
<li><b>Draw 20 more, switch to eval(), drag again.</b> Who moves now?</li>
</ol>
<p class="bnpg-sr" role="status"></p>`;

function node(parent, tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}
const put = (made, attributes) => {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
};

// what never changes: grid, axes, names of the rows
function drawFrame(svg) {
  for (let tick = LOW; tick <= HIGH; tick += 2) {
    const x = `${percent(tick)}%`;
    node(svg, "line", { x1: x, x2: x, y1: ROWS[0], y2: ROWS[2], class: tick ? "bnpg-grid" : "bnpg-grid bnpg-zero" });
    for (const row of ROWS) node(svg, "text", { x, y: row + 26, class: "bnpg-tick" }, fixed(tick, 0));
  }
  ROWS.forEach((row, k) => {
    node(svg, "line", { x1: "0.8%", x2: "99.2%", y1: row, y2: row, class: "bnpg-axis" });
    const name = node(svg, "text", { x: "0.8%", y: row + LABELS[k], class: "bnpg-row" });
    node(name, "tspan", { class: "bnpg-symbol" }, ["x", X_HAT, "y"][k]);
    node(name, "tspan", { dx: 6 }, ["drag the mini-batch", "normalized", "output"][k]);
  });
}

// what changes at every move; `update` takes the three rows and the statistics in use
function makePicture(svg) {
  drawFrame(svg);
  const sheet = node(svg, "svg", { width: "100%", height: HEIGHT, viewBox: `0 0 100 ${HEIGHT}`, preserveAspectRatio: "none" });
  const band = node(sheet, "polygon", { class: "bnpg-band" });
  const spine = node(sheet, "polyline", { class: "bnpg-spine" });
  const threads = node(sheet, "g", {}), dots = node(svg, "g", {}), handles = node(svg, "g", {});
  const brackets = ["population", "running", "batch μ ± σ"].map((name, k) => {
    const y = 34 + 17 * k, group = node(svg, "g", { class: "bnpg-bracket" });
    return { group, line: node(group, "line", { y1: y, y2: y }), tick: node(group, "line", { y1: y - 5, y2: y + 5 }),
      label: node(group, "text", { y: y + 4 }, name) };
  });
  const means = ROWS.map((row, k) => ({
    mark: node(svg, "text", { y: row + 14, class: "bnpg-mean" }, "▲"),
    text: node(svg, "text", { x: "99.2%", y: row + LABELS[k], class: "bnpg-stat" }),
  }));

  function resize(n) {
    if (handles.childNodes.length === n) return;
    for (const group of [threads, dots, handles]) group.replaceChildren();
    for (let i = 0; i < n; i++) {
      node(threads, "polyline", {});
      for (const row of ROWS.slice(1)) node(dots, "circle", { cy: row, r: 5 });
      const handle = node(handles, "g", { tabindex: 0, role: "slider", "data-index": i, "aria-label": `x ${i + 1}`,
        "aria-valuemin": LOW, "aria-valuemax": HIGH, "aria-orientation": "horizontal" });
      for (const [name, r] of [["hit", 24], ["ring", 13], ["dot", 8]]) node(handle, "circle", { cy: ROWS[0], r, class: `bnpg-${name}` });
    }
  }

  function update(s, rows, used, selected) {
    resize(s.x.length);
    const sd = Math.sqrt(used.variance), edge = [used.mean - sd, used.mean, used.mean + sd];
    const image = normalize(edge, used, s), path = [edge, image.xHat, image.y];
    const at = (k) => path.map((values, row) => `${percent(values[k])},${ROWS[row]}`);
    put(band, { points: [...at(0), ...at(2).reverse()].join(" ") });
    put(spine, { points: at(1).join(" ") });
    s.x.forEach((_, i) => {
      const chosen = i === selected, place = rows.map((row) => percent(row[i]));
      put(threads.childNodes[i], { points: place.map((x, row) => `${x},${ROWS[row]}`).join(" "), class: chosen ? "bnpg-chosen" : "" });
      for (const k of [1, 2]) put(dots.childNodes[2 * i + k - 1], { cx: `${place[k]}%`, class: (outside(rows[k][i]) ? "bnpg-off" : "") + (chosen ? " bnpg-chosen" : "") });
      const handle = handles.childNodes[i];
      put(handle, { class: chosen ? "bnpg-chosen" : "", "aria-valuenow": s.x[i],
        "aria-valuetext": `${fixed(s.x[i])}, x hat ${fixed(rows[1][i])}, y ${fixed(rows[2][i])}` });
      for (const circle of handle.childNodes) put(circle, { cx: `${place[0]}%` });
    });
    const batch = batchStatistics(s.x);
    const spreads = [[s.population_mean, s.population_sd], [s.running_mean, Math.sqrt(s.running_var)],
      [batch.mean, Math.sqrt(batch.variance)]];
    brackets.forEach(({ group, line, tick, label }, k) => {
      const [mean, spread] = spreads[k], left = mean + spread > 5;
      group.classList.toggle("bnpg-used", k === (s.training ? 2 : 1));
      put(line, { x1: `${percent(mean - spread)}%`, x2: `${percent(mean + spread)}%` });
      put(tick, { x1: `${percent(mean)}%`, x2: `${percent(mean)}%` });
      put(label, { x: `${percent(mean + (left ? -spread : spread))}%`, dx: left ? -7 : 7, "text-anchor": left ? "end" : "start" });
    });
    means.forEach(({ mark, text }, k) => {
      const { mean, variance } = batchStatistics(rows[k]);
      put(mark, { x: `${percent(mean)}%` });
      text.textContent = `▲ mean ${fixed(mean)}  sd ${fixed(Math.sqrt(variance))}`;
    });
  }
  return { handles, update };
}

// drag and arrow keys: `move(i, value)` and `select(i)` do the work
function makeMovable(svg, handles, model, move, select) {
  let held = null;
  const unit = () => (0.96 * svg.getBoundingClientRect().width) / (HIGH - LOW);
  const indexOf = (event) => { const handle = event.target.closest("[data-index]"); return handle ? Number(handle.dataset.index) : -1; };
  const pixel = (handle) => { const box = handle.lastChild.getBoundingClientRect(); return box.x + box.width / 2; };
  handles.addEventListener("pointerdown", (event) => {
    if (event.button || indexOf(event) < 0) return;
    event.preventDefault();
    // hit areas overlap: take the nearest point, not the topmost
    const distance = [...handles.childNodes].map((handle) => Math.abs(pixel(handle) - event.clientX));
    const i = distance.indexOf(Math.min(...distance));
    event.target.setPointerCapture(event.pointerId);
    held = { i, id: event.pointerId, from: event.clientX, start: model.get("x")[i] };
    svg.classList.add("bnpg-held");
    handles.childNodes[i].focus({ preventScroll: true });
    select(i);
  });
  handles.addEventListener("pointermove", (event) => {
    if (held && event.pointerId === held.id) move(held.i, held.start + (event.clientX - held.from) / unit());
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    handles.addEventListener(name, () => { held = null; svg.classList.remove("bnpg-held"); });
  }
  handles.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  handles.addEventListener("focusin", (event) => select(indexOf(event)));
  handles.addEventListener("keydown", (event) => {
    const i = indexOf(event), x = model.get("x")[i], step = event.shiftKey ? 1 : 0.1;
    const target = { ArrowRight: x + step, ArrowUp: x + step, ArrowLeft: x - step, ArrowDown: x - step,
      PageUp: x + 1, PageDown: x - 1, Home: LOW, End: HIGH }[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(i, target);
  });
}

function render({ model, el }) {
  const uid = (globalThis.bnkitPlaygrounds = (globalThis.bnkitPlaygrounds || 0) + 1);
  const root = document.createElement("div");
  root.className = "bnpg";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Batch normalization playground");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to us
  root.innerHTML = template(uid);
  el.replaceChildren(root);
  const find = (selector) => root.querySelector(selector);
  const svg = find("svg"), picture = makePicture(svg);
  const read = () => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const initial = read();
  let selected = 0;
  const write = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
    draw();
  };
  const out = (name, text) => { find(`[data-out="${name}"]`).textContent = text; };

  function draw() {
    const s = read(), batch = batchStatistics(s.x), n = s.x.length;
    const used = s.training ? batch : { mean: s.running_mean, variance: s.running_var };
    const { xHat, y } = normalize(s.x, used, s);
    selected = Math.min(selected, n - 1);
    picture.update(s, [s.x, xHat, y], used, selected);
    out("mean", fixed(batch.mean, 3));
    out("variance", fixed(batch.variance, 3));
    for (const name of ["running_mean", "running_var"]) out(name, fixed(s[name], 3));
    out("num_batches_tracked", s.num_batches_tracked);
    out("population_mean", `(${fixed(s.population_mean, 0)})`);
    out("population_var", `(${fixed(s.population_sd ** 2, 0)})`);
    out("index", subscript(selected + 1));
    const minus = used.mean < 0 ? "+" : "−", plus = s.beta < 0 ? "−" : "+";
    out("x_hat_terms", `${X_HAT} = (${fixed(s.x[selected])} ${minus} ${fixed(Math.abs(used.mean))}) / √(${fixed(used.variance)} + ${short(s.eps)})`);
    out("x_hat", fixed(xHat[selected], 3));
    out("y_terms", `y = ${fixed(s.gamma, 1)} · ${fixed(xHat[selected], 3)} ${plus} ${fixed(Math.abs(s.beta), 1)}`);
    out("y", fixed(y[selected], 3));
    for (const [name, value, text] of [["gamma", s.gamma, fixed(s.gamma, 1)], ["beta", s.beta, fixed(s.beta, 1)],
      ["eps", Math.log10(s.eps), short(s.eps)], ["size", n, String(n)]]) {
      const input = find(`[data-in="${name}"]`);
      input.value = value;
      input.setAttribute("aria-valuetext", text);
      out(name, text);
    }
    find("[value=train]").checked = s.training;
    find("[value=eval]").checked = !s.training;
    find('[data-box="batch"]').classList.toggle("bnpg-used", s.training);
    find('[data-box="running"]').classList.toggle("bnpg-used", !s.training);
  }

  // each batch is one forward pass: in train() it also updates the running statistics
  function advance(times) {
    const s = read();
    for (let k = 0; k < times; k++) {
      [s.x, s.seed] = drawBatch(s.x.length, s.seed, s.population_mean, s.population_sd);
      if (!s.training) continue;
      const running = updateRunning({ mean: s.running_mean, variance: s.running_var }, s.x);
      Object.assign(s, { running_mean: running.mean, running_var: running.variance, num_batches_tracked: s.num_batches_tracked + 1 });
    }
    write(s);
  }
  const say = () => {
    const s = read();
    find("[role=status]").textContent = `${s.training ? "train" : "eval"}: batch mean ${fixed(batchStatistics(s.x).mean)}, running mean ${fixed(s.running_mean)}, running var ${fixed(s.running_var)}, ${s.num_batches_tracked} batches tracked`;
  };
  const actions = { next: () => advance(1), twenty: () => advance(20), reset: () => { selected = 0; write(initial); } };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) { actions[button.dataset.do](); say(); }
  });
  root.addEventListener("change", (event) => {
    if (event.target.type === "radio") { write({ training: event.target.value === "train" }); say(); }
  });
  function resize(n) {
    const s = read();
    const [more, seed] = drawBatch(Math.max(0, n - s.x.length), s.seed, s.population_mean, s.population_sd);
    write({ x: [...s.x.slice(0, n), ...more], seed });
  }
  root.addEventListener("input", (event) => {
    const name = event.target.dataset.in, value = Number(event.target.value);
    if (name === "size") resize(value);
    else if (name) write({ [name]: name === "eps" ? Number((10 ** value).toPrecision(12)) : value });
  });
  makeMovable(svg, picture.handles, model,
    (i, value) => write({ x: model.get("x").map((v, k) => (k === i ? round(value) : v)) }),
    (i) => { selected = i; draw(); });
  for (const name of NAMES) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of NAMES) model.off(`change:${name}`, draw); };
}

// the plain page: an object that answers as anywidget's model does
export function mount(el, state) {
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      const changed = state[name] !== value;
      state[name] = value;
      if (changed) (listeners[`change:${name}`] || []).forEach((listener) => listener());
    },
    on: (event, listener) => { (listeners[event] = listeners[event] || []).push(listener); },
    off: (event, listener) => { listeners[event] = (listeners[event] || []).filter((other) => other !== listener); },
    save_changes: () => {},
  };
  render({ model, el });
  return model;
}

export default { render };

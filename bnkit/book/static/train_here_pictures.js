// The pictures: curves, histograms, statistics and digits. Drawn in currentColor and the colors of the
// two sides, so that dark mode and paper need nothing more.

const SVG = "http://www.w3.org/2000/svg";

function node(parent, tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  put(made, attributes);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}
function put(made, attributes) {
  for (const [key, value] of Object.entries(attributes)) if (made.getAttribute(key) !== String(value)) made.setAttribute(key, value);
}
export const short = (v) => (Number.isFinite(v) ? String(Number(v.toPrecision(2))).replace("e+", "e").replace("-", "−") : "no number");
export const thousands = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ","); // Intl would take longer to load
export const percent = (v) => `${(100 * v).toFixed(1)} %`;

// ---- curves of both sides against steps
const WIDTH = 360, HEIGHT = 190, LEFT = 40, RIGHT = 350, TOP = 26, BOTTOM = 164;
const across = (share) => LEFT + (RIGHT - LEFT) * share;
const down = (share) => BOTTOM - (BOTTOM - TOP) * share;

// `scale(all)` gives the ticks of the values shown and where each lies, from 0 to 1.
export function makeCurves(svg, title, scale) {
  put(svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  node(svg, "text", { x: 0, y: 12, class: "bntr-name" }, title);
  const grid = node(svg, "g", { class: "bntr-grid" }), marks = node(svg, "g", { class: "bntr-ticks" });
  const lines = ["left", "right"].map((side) => node(svg, "path", { class: `bntr-line bntr-${side}` }));
  node(svg, "path", { class: "bntr-axis", d: `M${LEFT},${TOP}V${BOTTOM}H${RIGHT}` });
  let drawn = "";
  function axes(ticks, at, end) {
    const key = `${ticks} ${end}`;
    if (key === drawn) return;
    drawn = key;
    grid.replaceChildren();
    marks.replaceChildren();
    for (const tick of ticks) {
      node(grid, "path", { d: `M${LEFT},${down(at(tick))}H${RIGHT}` });
      node(marks, "text", { x: LEFT - 5, y: down(at(tick)) + 4, "text-anchor": "end" }, tick);
    }
    for (const share of [0, 0.5, 1]) node(marks, "text", { x: across(share), y: BOTTOM + 16, "text-anchor": ["start", "middle", "end"][2 * share] }, thousands(share * end) + (share === 1 ? " steps" : ""));
  }
  return (curves, step, words) => {
    const end = roundUp(Math.max(step, 100)), { ticks, at } = scale(curves.flatMap((curve) => curve.values));
    axes(ticks, at, end);
    curves.forEach(({ steps, values }, k) => {
      const points = steps.flatMap((s, i) => (Number.isFinite(values[i]) ? [`${across(s / end).toFixed(1)},${down(at(values[i])).toFixed(1)}`] : []));
      put(lines[k], { d: points.length ? `M${points.join("L")}` : "" });
    });
    put(svg, { "aria-label": words });
  };
}

function roundUp(v) {
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 4, 6, 8, 10].map((k) => k * power).find((round) => round >= v);
}

const clamp = (v) => Math.min(Math.max(v, 0), 1);
export const shares = () => ({ ticks: [0, 25, 50, 75, 100], at: (v) => clamp(v / 100) }); // in percent

// Powers of ten around all values, up to 1,000: what lies above is drawn at the edge.
export function logarithmic(values) {
  const exponents = values.filter((v) => v > 0 && v < Infinity).map((v) => Math.log10(v));
  const low = Math.max(Math.floor(Math.min(-1, ...exponents)), -6), high = Math.min(Math.ceil(Math.max(1, ...exponents)), 3);
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => Number((10 ** (low + i)).toPrecision(1)));
  return { ticks: ticks.filter((_, i) => ticks.length < 7 || i % 2 === 0), at: (v) => clamp((Math.log10(Math.max(v, 1e-9)) - low) / (high - low)) };
}

// ---- one histogram for each hidden layer, the first on top
const ROW = 44;
export function makeHistograms(svg) {
  let rows = [];
  return (histograms) => {
    if (rows.length !== histograms.length) {
      svg.replaceChildren();
      put(svg, { viewBox: `0 0 ${WIDTH} ${ROW * histograms.length + 14}`, role: "img" });
      rows = histograms.map((_, l) => histogramRow(svg, l));
    }
    rows.forEach((row, l) => drawHistogram(row, histograms[l], (l + 1) * ROW));
    const words = histograms.map(({ mean, sd }, l) => `layer ${l + 1}: mean ${short(mean)}, standard deviation ${short(sd)}`);
    put(svg, { "aria-label": `Histograms of what the ReLU receives. ${words.join("; ")}` });
  };
}

function histogramRow(svg, l) {
  const bottom = (l + 1) * ROW;
  node(svg, "path", { class: "bntr-grid", d: `M200,${bottom - 34}V${bottom}` });
  return {
    bars: node(svg, "path", { class: "bntr-bars" }), axis: node(svg, "path", { class: "bntr-axis", d: `M60,${bottom}H340` }),
    name: node(svg, "text", { x: 0, y: bottom - 20 }, `layer ${l + 1}`), sd: node(svg, "text", { x: 0, y: bottom - 5 }),
    low: node(svg, "text", { x: 60, y: bottom + 12 }), high: node(svg, "text", { x: 340, y: bottom + 12, "text-anchor": "end" }),
  };
}

function drawHistogram({ bars, sd, low, high }, { shares, reach, sd: spread }, bottom) {
  const tall = Math.max(...shares, 0.08), wide = 280 / shares.length;
  const steps = shares.map((share) => `V${(bottom - (34 * share) / tall).toFixed(1)}h${wide.toFixed(3)}`);
  put(bars, { d: `M60,${bottom}${steps.join("")}V${bottom}Z` });
  sd.textContent = `sd ${Number.isFinite(spread) ? short(spread) : "–"}`;
  low.textContent = short(-reach);
  high.textContent = short(reach);
}

// ---- statistics of the first hidden layer: each point is a unit, across the batch's, up the running one
export function makeStatistics(svg) {
  put(svg, { viewBox: `0 0 ${WIDTH} 178`, role: "img" });
  const plots = ["mean", "standard deviation"].map((name, k) => {
    const x = 30 + 180 * k;
    node(svg, "text", { x, y: 12, class: "bntr-name" }, name);
    node(svg, "path", { class: "bntr-axis", d: `M${x},20v130h130` });
    node(svg, "path", { class: "bntr-diagonal", d: `M${x},150l130,-130` });
    node(svg, "text", { x: x + 130, y: 176, "text-anchor": "end" }, "this batch →");
    node(svg, "text", { x: x - 6, y: 148, transform: `rotate(-90 ${x - 6} 148)` }, "running →");
    return { x, dots: node(svg, "path", { class: "bntr-dots" }), low: node(svg, "text", { x, y: 163 }), high: node(svg, "text", { x: x + 130, y: 163, "text-anchor": "end" }) };
  });
  return ({ mean, variance, runningMean, runningVar }) => {
    const root = (values) => values.map(Math.sqrt);
    drawDots(plots[0], mean, runningMean);
    drawDots(plots[1], root(variance), root(runningVar));
    const apart = (a, b) => a.reduce((sum, v, i) => sum + Math.abs(v - b[i]), 0) / a.length;
    put(svg, { "aria-label": `Running statistics of the first hidden layer against those of the batch. Mean distance of the means ${short(apart(mean, runningMean))}, of the standard deviations ${short(apart(root(variance), root(runningVar)))}` });
  };
}

function drawDots({ x, dots, low, high }, across, up) {
  const all = [...across, ...up].filter(Number.isFinite), from = Math.min(...all), to = Math.max(...all);
  const at = (v) => (to > from ? (v - from) / (to - from) : 0.5);
  const points = across.flatMap((v, i) => (Number.isFinite(v + up[i]) ? [`M${(x + 130 * at(v)).toFixed(1)},${(150 - 130 * at(up[i])).toFixed(1)}h0`] : []));
  put(dots, { d: points.join("") });
  low.textContent = all.length ? short(from) : "";
  high.textContent = all.length ? short(to) : "";
}

// ---- digits with their answers: white on black wherever the page is; wrong ones are framed
const COLUMNS = 10, CELL = 60, TALL = 88;
export function makeDigits(canvas, sheet, labels) {
  const ink = canvas.getContext("2d");
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  return (answers) => {
    ink.drawImage(sheet, 0, 0);
    ink.textAlign = "center";
    let right = 0;
    answers.forEach((answer, i) => {
      const x = (i % COLUMNS) * CELL, y = Math.floor(i / COLUMNS) * TALL, hit = answer === labels[i];
      right += hit;
      ink.font = hit ? "22px sans-serif" : "bold 24px sans-serif";
      ink.fillStyle = ink.strokeStyle = hit ? "#b8bec6" : "#ff9d5c";
      ink.lineWidth = 3;
      ink.fillText(answer, x + CELL / 2 + (hit ? 0 : 10), y + 80);
      if (hit) return;
      ink.strokeRect(x + 2, y + 2, CELL - 4, TALL - 4);
      ink.stroke(new Path2D(`M${x + 15},${y + 65}l13,13m0,-13l-13,13`)); // a cross of no font
    });
    canvas.setAttribute("aria-label", `${labels.length} validation digits with the answers of this network: ${right} right, ${labels.length - right} wrong`);
  };
}

// The digits without answers, of which both sides draw theirs.
export function digitSheet({ images, labels }) {
  const count = labels.length, rows = Math.ceil(count / COLUMNS);
  const sheet = Object.assign(document.createElement("canvas"), { width: COLUMNS * CELL, height: rows * TALL });
  const small = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
  const ink = sheet.getContext("2d"), pen = small.getContext("2d");
  ink.fillRect(0, 0, sheet.width, sheet.height);
  for (let i = 0; i < count; i++) {
    const picture = pen.createImageData(28, 28);
    for (let k = 0; k < 784; k++) picture.data.fill(images[784 * i + k], 4 * k, 4 * k + 3), (picture.data[4 * k + 3] = 255);
    pen.putImageData(picture, 0, 0);
    ink.drawImage(small, (i % COLUMNS) * CELL + 2, Math.floor(i / COLUMNS) * TALL + 2, 56, 56);
  }
  return sheet;
}

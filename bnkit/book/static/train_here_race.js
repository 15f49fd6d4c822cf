// Two networks that differ in their norm: same seed, same batches, step by step; and what is seen of
// them. All that is kept has a fixed size, however long it runs.
import { initialize, makeBatches } from "./train_here_digits.js";
import { backward, crossEntropy, forward, makeNetwork } from "./train_here_network.js";
import { makeOptimizer } from "./train_here_optimizers.js";

export const EVALUATE_EVERY = 25, SHOWN = 40; // steps; digits whose answers are shown
const CAPACITY = 512, POINTS = 256, BINS = 41, RECENT = 25;

// A curve of at most POINTS: when it is full, each two neighbors become their mean.
export function makeSeries() {
  let stride = 1, sum = 0, count = 0, steps = [], values = [];
  const halve = () => {
    stride *= 2;
    values = values.map((value, i) => (value + values[i - 1]) / 2).filter((_, i) => i % 2);
    steps = steps.filter((_, i) => i % 2);
  };
  return {
    add(step, value) {
      sum += value;
      if (++count < stride) return;
      steps.push(step);
      values.push(sum / count);
      sum = count = 0;
      if (steps.length >= POINTS) halve();
    },
    read: () => ({ steps, values }),
  };
}

export function makeRace(digits, settings) {
  const { depth, width, batch, seed } = settings;
  const sizes = [digits.size, ...Array(depth).fill(width), 10];
  const sides = settings.norms.map((norm) => makeSide(sizes, norm, settings));
  const next = makeBatches(digits.validation, digits.count, batch, seed + 1);
  const race = { step: 0, mode: "running", sides };
  let rows = next();

  race.advance = () => {
    if (race.step++) rows = next();
    for (const side of sides) learn(side, digits, rows, race.step, settings.lr);
    if (race.step % EVALUATE_EVERY === 0) race.evaluate();
  };
  race.evaluate = () => {
    const size = race.mode === "batch" ? batch : CAPACITY;
    for (const side of sides) evaluate(side, digits, size, race.mode, race.step);
  };
  race.snapshot = () => ({ step: race.step, mode: race.mode, sides: sides.map((side) => look(side, digits, rows, race.mode)) });
  race.evaluate();
  return race;
}

function makeSide(sizes, norm, { seed, scale, optimizer }) {
  const network = makeNetwork(sizes, norm, CAPACITY);
  initialize(network, seed, scale);
  return {
    norm, network, recent: [], losses: makeSeries(),
    update: makeOptimizer(optimizer, network.theta.length),
    running: { curve: makeSeries() }, batch: { curve: makeSeries() }, // by the mode of evaluation
  };
}

function learn({ network, update, losses, recent }, digits, rows, step, lr) {
  forward(network, digits, rows, "train");
  const loss = crossEntropy(network, digits.labels, rows);
  backward(network, rows.length);
  update(network.theta, network.grad, lr);
  losses.add(step, loss);
  recent.push(loss);
  if (recent.length > RECENT) recent.shift();
}

// Accuracy on the validation digits, in batches of `size`; a rest of one would have no statistics.
function evaluate(side, digits, size, mode, step) {
  const answers = new Int8Array(digits.validation).fill(-1);
  let right = 0, seen = 0;
  for (let from = 0; from < digits.validation; from += size) {
    const rows = Int32Array.from({ length: Math.min(size, digits.validation - from) }, (_, i) => from + i);
    if (rows.length === 1 && mode === "batch") break;
    const logits = forward(side.network, digits, rows, mode);
    rows.forEach((row, i) => {
      answers[row] = largest(logits, 10 * i);
      right += answers[row] === digits.labels[row];
    });
    seen += rows.length;
  }
  side[mode].accuracy = right / seen;
  side[mode].answers = answers.slice(0, SHOWN);
  if (step % EVALUATE_EVERY || side[mode].drawn === step) return; // a look in between leaves no trace
  side[mode].drawn = step;
  side[mode].curve.add(step, right / seen);
}

function largest(logits, from) {
  let best = 0;
  for (let k = 1; k < 10; k++) if (logits[from + k] > logits[from + best]) best = k;
  return best;
}

// What is drawn: curves, answers, and the current batch on its way through the current weights.
function look(side, digits, rows, mode) {
  const { network, norm, recent } = side, hidden = network.layers.slice(0, -1);
  forward(network, digits, rows, "batch");
  const { mean, variance, runningMean, runningVar } = hidden[0];
  return {
    norm,
    loss: recent.reduce((sum, value) => sum + value, 0) / recent.length,
    losses: side.losses.read(),
    accuracy: side[mode].accuracy, accuracies: side[mode].curve.read(), answers: side[mode].answers,
    histograms: hidden.map(({ y, out }) => histogram(y, rows.length * out)),
    statistics: runningMean && { mean: [...mean], variance: [...variance], runningMean: [...runningMean], runningVar: [...runningVar] },
  };
}

// Shares of the values in bins from -reach to reach, a reach of 1, 2, 5, 10 … that holds nearly all.
export function histogram(values, n) {
  let sum = 0, squares = 0;
  for (let i = 0; i < n; i++) sum += values[i];
  const mean = sum / n;
  for (let i = 0; i < n; i++) squares += (values[i] - mean) ** 2;
  const sd = Math.sqrt(squares / n), extent = Math.abs(mean) + 2.5 * sd;
  const power = 10 ** Math.floor(Math.log10(extent));
  const reach = extent > 0 && extent < Infinity ? [1, 2, 5, 10].find((k) => k * power >= extent) * power : 5;
  const shares = Array(BINS).fill(0);
  for (let i = 0; i < n; i++) {
    const bin = Math.floor(((values[i] / reach + 1) / 2) * BINS);
    if (bin === bin) shares[Math.min(Math.max(bin, 0), BINS - 1)] += 1 / n;
  }
  return { shares, reach, mean, sd };
}

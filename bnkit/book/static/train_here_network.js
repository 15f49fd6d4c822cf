// A fully connected network: Linear, norm, ReLU for each hidden layer, and a last Linear; forward and
// backward in plain loops over typed arrays (float64: faster here than float32, which JavaScript
// converts at each access). Matrices lie row by row: (N, features), weights (in, out), so that every
// inner loop walks along memory. Most pixels are black and half of the units silent, so what a layer
// receives is kept as its non-zero entries, and four of them are handled in one pass over memory.

export const EPS = 1e-5, MOMENTUM = 0.1, GROUPS = 8; // a momentum of PyTorch's: the weight of the new value

const floats = (n) => new Float64Array(n);

// `sizes` as bnkit's MLP takes them; `capacity` is the largest batch.
export function makeNetwork(sizes, norm, capacity) {
  const shapes = sizes.slice(1).map((out, l) => ({ fanIn: sizes[l], out, norm: l < sizes.length - 2 ? norm : "none" }));
  const count = ({ fanIn, out, norm }) => (fanIn + (norm === "none" ? 1 : 3)) * out;
  const total = shapes.reduce((sum, shape) => sum + count(shape), 0);
  const theta = floats(total), grad = floats(total); // all parameters, and their gradients, in one row
  let at = 0;
  const take = (n) => { const part = [theta, grad].map((all) => all.subarray(at, at + n)); at += n; return part; };
  const layers = shapes.map((shape) => makeLayer(shape, take, capacity));
  const most = Math.max(...sizes.slice(0, -1)); // features that a layer receives
  const columns = { ...makeEntries(capacity, most), start: new Int32Array(most + 2) };
  return { sizes, norm, layers, theta, grad, pixels: makeEntries(capacity, sizes[0]), columns };
}

function makeLayer({ fanIn, out, norm }, take, capacity) {
  const layer = { fanIn, out, norm };
  [layer.W, layer.dW] = take(fanIn * out);
  [layer.b, layer.db] = take(out);
  layer.z = floats(capacity * out); // Linear's output
  layer.y = norm === "none" ? layer.z : floats(capacity * out); // what the activation receives
  layer.active = makeEntries(capacity, out); // after the activation
  layer.d = floats(capacity * out); // the gradient, from the output back to z in place
  if (norm === "none") return layer;
  [layer.gamma, layer.dGamma] = take(out);
  [layer.beta, layer.dBeta] = take(out);
  layer.gamma.fill(1);
  layer.h = floats(capacity * out); // normalized
  layer.groups = { batch: 0, layer: 1, group: GROUPS }[norm];
  const sets = norm === "batch" ? out : capacity * layer.groups; // what has a mean and a spread of its own
  layer.mean = floats(sets);
  layer.variance = floats(sets); // biased
  layer.inverse = floats(sets); // 1 / sqrt(variance + eps)
  if (norm === "batch") Object.assign(layer, { runningMean: floats(out), runningVar: floats(out).fill(1) });
  return layer;
}

// ---- forward: `mode` is "train", "batch" (its statistics, running ones left alone) or "running"
export function forward(network, digits, rows, mode) {
  gatherPixels(network.pixels, digits, rows);
  linear(network.layers[0], network.pixels, rows.length);
  return forwardFrom(network, rows.length, mode);
}

// The rest of the way from the first Linear's output, which two modes can share; returns the logits.
export function forwardFrom({ layers }, n, mode) {
  layers.forEach((layer, l) => {
    if (l) linear(layer, layers[l - 1].active, n);
    if (layer.norm !== "none") normalize(layer, n, mode);
    if (l < layers.length - 1) relu(layer, n);
  });
  return layers.at(-1).z; // (N, classes)
}

// The entries of row i are those from start[i] to start[i + 1]: a feature and its value.
const makeEntries = (rows, features) =>
  ({ start: new Int32Array(rows + 1), feature: new Int32Array(rows * features), value: floats(rows * features) });

function gatherPixels(entries, { start, pixel, value }, rows) {
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    for (let e = start[rows[i]]; e < start[rows[i] + 1]; e++, at++) {
      entries.feature[at] = pixel[e];
      entries.value[at] = value[e];
    }
    entries.start[i + 1] = at;
  }
}

function relu({ y, out, active }, n) {
  const { start, feature, value } = active;
  let at = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < out; j++) {
      const v = y[i * out + j];
      if (v <= 0) continue; // what is not a number goes on
      feature[at] = j;
      value[at++] = v;
    }
    start[i + 1] = at;
  }
}

function linear({ W, b, z, out }, { start, feature, value }, n) {
  for (let i = 0; i < n; i++) {
    z.set(b, i * out);
    addRows(z, i * out, W, feature, value, start[i], start[i + 1], out);
  }
}

// to += the sum of value * (row of `from` that `row` names), over the entries from `e` to `end`
function addRows(to, at, from, row, value, e, end, n) {
  for (; e + 3 < end; e += 4) {
    const p = row[e] * n, q = row[e + 1] * n, r = row[e + 2] * n, s = row[e + 3] * n;
    const t = value[e], u = value[e + 1], v = value[e + 2], w = value[e + 3];
    for (let j = 0; j < n; j++) to[at + j] += t * from[p + j] + u * from[q + j] + v * from[r + j] + w * from[s + j];
  }
  for (; e < end; e++) {
    const p = row[e] * n, t = value[e];
    for (let j = 0; j < n; j++) to[at + j] += t * from[p + j];
  }
}

function normalize(layer, n, mode) {
  const { h, y, out, gamma, beta } = layer;
  if (layer.norm !== "batch") normalizeRows(layer, n);
  else normalizeColumns(layer, n, mode);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++, at++) y[at] = gamma[j] * h[at] + beta[j];
}

function normalizeColumns(layer, n, mode) {
  const { z, h, out, mean, variance, inverse, runningMean, runningVar } = layer;
  if (mode === "running") {
    mean.set(runningMean);
    variance.set(runningVar);
  } else columnStatistics(layer, n);
  for (let j = 0; j < out; j++) inverse[j] = 1 / Math.sqrt(variance[j] + EPS);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++, at++) h[at] = (z[at] - mean[j]) * inverse[j];
  if (mode !== "train") return;
  for (let j = 0; j < out; j++) {
    runningMean[j] += MOMENTUM * (mean[j] - runningMean[j]);
    runningVar[j] += MOMENTUM * ((variance[j] * n) / (n - 1) - runningVar[j]); // the unbiased one is stored
  }
}

function columnStatistics({ z, out, mean, variance }, n) {
  mean.fill(0);
  variance.fill(0);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++, at++) mean[j] += z[at];
  for (let j = 0; j < out; j++) mean[j] /= n;
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++, at++) variance[j] += (z[at] - mean[j]) ** 2;
  for (let j = 0; j < out; j++) variance[j] /= n;
}

// Layer norm is one group; each sample has statistics of its own, in training and in evaluation.
function normalizeRows({ z, h, out, groups, inverse }, n) {
  const size = out / groups;
  for (let set = 0; set < n * groups; set++) {
    const from = set * size, to = from + size;
    let mean = 0, variance = 0;
    for (let k = from; k < to; k++) mean += z[k];
    mean /= size;
    for (let k = from; k < to; k++) variance += (z[k] - mean) ** 2;
    inverse[set] = 1 / Math.sqrt(variance / size + EPS);
    for (let k = from; k < to; k++) h[k] = (z[k] - mean) * inverse[set];
  }
}

// ---- loss: the mean cross-entropy, and its gradient with respect to the logits in the last `d`
export function crossEntropy(network, labels, rows) {
  const { z, d, out } = network.layers.at(-1), n = rows.length;
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const from = i * out, label = from + labels[rows[i]];
    let top = -Infinity, sum = 0;
    for (let k = from; k < from + out; k++) if (z[k] > top) top = z[k];
    for (let k = from; k < from + out; k++) sum += d[k] = Math.exp(z[k] - top);
    for (let k = from; k < from + out; k++) d[k] /= sum * n;
    loss += Math.log(sum) + top - z[label];
    d[label] -= 1 / n;
  }
  return loss / n;
}

// ---- backward: from the last `d` to the gradients of all parameters
export function backward({ layers, pixels, columns }, n) {
  for (let l = layers.length - 1; l >= 0; l--) {
    const layer = layers[l], input = l ? layers[l - 1].active : pixels;
    if (layer.norm !== "none") backThroughNorm(layer, n);
    columnSums(layer.db, layer.d, n);
    weightGradient(layer, byFeature(columns, input, layer.fanIn, n));
    if (l) inputGradient(layer, input, layers[l - 1].d, n);
  }
}

// The same entries sorted by feature; `feature` then names the row. A feature's weights have a
// gradient from the samples in which it is not zero.
function byFeature(sorted, { start, feature, value }, fanIn, n) {
  const next = sorted.start.fill(0, 0, fanIn + 2);
  for (let e = 0; e < start[n]; e++) next[feature[e] + 2]++;
  for (let k = 2; k <= fanIn; k++) next[k] += next[k - 1];
  for (let i = 0; i < n; i++) {
    for (let e = start[i]; e < start[i + 1]; e++) {
      const at = next[feature[e] + 1]++;
      sorted.feature[at] = i;
      sorted.value[at] = value[e];
    }
  }
  return sorted;
}

function weightGradient({ dW, d, fanIn, out }, { start, feature, value }) {
  dW.fill(0);
  for (let k = 0; k < fanIn; k++) addRows(dW, k * out, d, feature, value, start[k], start[k + 1], out);
}

// Where the ReLU is off, nothing comes through.
function inputGradient({ W, d, fanIn, out }, { start, feature }, below, n) {
  below.fill(0, 0, n * fanIn);
  for (let i = 0; i < n; i++) {
    const from = i * out, to = i * fanIn, end = start[i + 1];
    for (let e = start[i]; e < end; e += 2) { // two units a turn; the last may be alone
      const k = feature[e], l = feature[e + 1 < end ? e + 1 : e];
      let sum = 0, other = 0;
      for (let j = 0; j < out; j++) {
        sum += W[k * out + j] * d[from + j];
        other += W[l * out + j] * d[from + j];
      }
      below[to + k] = sum;
      below[to + l] = other;
    }
  }
}

function columnSums(sums, values, n) {
  sums.fill(0);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < sums.length; j++, at++) sums[j] += values[at];
}

// The gradient goes through mean and spread as well: d = inverse (g - mean(g) - h mean(g h)).
function backThroughNorm(layer, n) {
  const { d, h, out, gamma, dGamma, dBeta } = layer;
  dGamma.fill(0);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < out; j++, at++) dGamma[j] += d[at] * h[at];
  columnSums(dBeta, d, n);
  if (layer.norm === "batch") backThroughColumns(layer, n);
  else backThroughRows(layer, n);
}

// Over a batch the sums of g and of g h are those of beta and gamma, times gamma.
function backThroughColumns({ d, h, out, gamma, dGamma, dBeta, inverse }, n) {
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < out; j++, at++) d[at] = gamma[j] * inverse[j] * (d[at] - dBeta[j] / n - (h[at] * dGamma[j]) / n);
  }
}

function backThroughRows({ d, h, out, gamma, groups, inverse }, n) {
  const size = out / groups;
  for (let set = 0; set < n * groups; set++) {
    const from = set * size, to = from + size, column = from % out;
    let mean = 0, along = 0;
    for (let k = from; k < to; k++) {
      d[k] *= gamma[column + k - from];
      mean += d[k];
      along += d[k] * h[k];
    }
    for (let k = from; k < to; k++) d[k] = inverse[set] * (d[k] - mean / size - (h[k] * along) / size);
  }
}

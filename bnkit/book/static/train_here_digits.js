// The digits, and everything random: seeds, initial weights, the order of the batches.

// mulberry32, as the playground has it: numbers from 0 to 1 that are the same in every browser
export function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Gzipped bytes as base64: all images, then all labels; the first are for validation.
export async function unpackDigits({ gzip, size, validation }) {
  const packed = Uint8Array.from(atob(gzip), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = bytes.length / (size + 1), images = bytes.subarray(0, count * size);
  return { ...sparse(images, count, size), images, labels: bytes.subarray(count * size), size, count, validation };
}

// The pixels that are not black: those of digit i lie from start[i] to start[i + 1], scaled to 0 … 1.
export function sparse(images, count, size) {
  const start = new Int32Array(count + 1), lit = images.reduce((sum, byte) => sum + (byte > 0), 0);
  const pixel = new Int32Array(lit), value = new Float64Array(lit);
  let at = 0;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < size; k++) {
      if (!images[i * size + k]) continue;
      pixel[at] = k;
      value[at++] = images[i * size + k] / 255;
    }
    start[i + 1] = at;
  }
  return { start, pixel, value };
}

// PyTorch's default for Linear, uniform within 1 / sqrt(fan_in); hidden weights times `scale`.
export function initialize({ layers }, seed, scale) {
  const random = makeRandom(seed);
  layers.forEach((layer, l) => {
    const bound = 1 / Math.sqrt(layer.fanIn), times = l < layers.length - 1 ? scale : 1;
    for (let i = 0; i < layer.W.length; i++) layer.W[i] = times * bound * (2 * random() - 1);
    for (let i = 0; i < layer.b.length; i++) layer.b[i] = bound * (2 * random() - 1);
  });
}

// Batches without end, from digit `from` on: each pass in a new order; a short rest is left out.
export function makeBatches(from, to, batchSize, seed) {
  const random = makeRandom(seed), order = Int32Array.from({ length: to - from }, (_, i) => from + i);
  let at = order.length;
  return () => {
    if (at + batchSize > order.length) {
      shuffle(order, random);
      at = 0;
    }
    at += batchSize;
    return order.subarray(at - batchSize, at);
  };
}

function shuffle(order, random) {
  for (let i = order.length - 1; i > 0; i--) {
    const k = Math.floor(random() * (i + 1));
    [order[i], order[k]] = [order[k], order[i]];
  }
}

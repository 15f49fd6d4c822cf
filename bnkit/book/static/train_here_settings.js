// What the reader can set, and the address that carries it.

const powers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));

// name in the address → words and values; the values are what the lists offer
export const CHOICES = {
  left: ["first network", ["batch", "layer", "group", "none"]],
  right: ["second network", ["batch", "layer", "group", "none"]],
  depth: ["hidden layers", [1, 2, 3, 4, 5, 6]],
  width: ["units each", [32, 64, 96, 128]],
  optimizer: ["optimizer", ["sgd", "adam"]],
  lr: ["learning rate", [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]],
  batch: ["batch size", powers(1, 9)],
  scale: ["hidden weights ×", [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]],
};
export const MODES = { running: "running statistics", batch: "statistics of the batch" };
export const NAMES = { batch: "batch norm", layer: "layer norm", group: "group norm", none: "no norm", sgd: "SGD", adam: "Adam" };
export const MAX_SEED = 9999;

// The settings in an address, over the given ones; what no list offers is passed over.
export function fromAddress(hash, settings) {
  const given = new URLSearchParams(hash.replace(/^#/, "")), found = { ...settings };
  if (!given.has("lr")) return null;
  for (const [name, [, values]] of Object.entries(CHOICES)) {
    const value = values.find((v) => given.has(name) && (String(v) === given.get(name) || v === Number(given.get(name))));
    if (value !== undefined) found[name] = value;
  }
  if (/^\d{1,4}$/.test(given.get("seed") ?? "")) found.seed = Number(given.get("seed"));
  if (Object.hasOwn(MODES, given.get("statistics"))) found.statistics = given.get("statistics");
  return found;
}

export function toAddress(settings) {
  const names = ["lr", ...Object.keys(CHOICES).filter((name) => name !== "lr"), "seed", "statistics"];
  return "#" + names.map((name) => `${name}=${settings[name]}`).join("&");
}

// What the worker needs to build the two networks.
export const toRace = ({ left, right, ...rest }) => ({ ...rest, norms: [left, right] });

export const describe = ({ depth, width, optimizer, lr, batch, scale }) =>
  `784${`-${width}`.repeat(depth)}-10, ${NAMES[optimizer]} at ${lr}, batches of ${batch}` + (scale === 1 ? "" : `, hidden weights × ${scale}`);

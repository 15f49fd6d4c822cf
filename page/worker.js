// Python in a worker of its own: fetched when it is first needed, ended from outside when it hangs.
import { loadPyodide } from "./pyodide/pyodide.mjs";

const here = new URL(".", self.location.href);
const version = new URL(self.location.href).searchParams.get("v");
const waiting = [];
let python, desk, busy = false;

const tell = (kind, more) => self.postMessage({ kind, ...more });

async function kept(name) {
  const address = new URL(`${name}?v=${version}`, here).href;
  const store = self.caches && (await caches.open("page-python"));
  const found = store && (await store.match(address));
  if (found) return found;
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  if (store) {
    for (const old of await store.keys())
      if (old.url.split("?")[0] === address.split("?")[0]) await store.delete(old);
    await store.put(address, answer.clone());
  }
  return answer;
}

async function bytes(name, progress) {
  const reader = (await kept(name)).body.getReader();
  const parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    progress(value.length);
  }
  return new Blob(parts);
}

// Python asks for its files by address: it gets those that are here already.
function serve(files) {
  const usual = self.fetch.bind(self);
  self.fetch = (address, options) => {
    const name = String(address.url ?? address).split("/").pop();
    const make = files[name];
    return make ? Promise.resolve(make()) : usual(address, options);
  };
}

async function start(sizes) {
  const total = Object.values(sizes).reduce((a, b) => a + b, 0);
  let loaded = 0;
  const progress = (count) => tell("progress", { loaded: (loaded += count), total });
  const names = Object.keys(sizes); // Python, its library, the book, and what this chapter compares
  const [machine, library, ...books] = await Promise.all(names.map((name) => bytes(name, progress)));
  tell("starting");
  serve({
    "pyodide.asm.wasm": () => new Response(
      machine.stream().pipeThrough(new DecompressionStream("gzip")),
      { headers: { "Content-Type": "application/wasm" } }),
    "python_stdlib.zip": () => new Response(library),
  });
  python = await loadPyodide({ indexURL: new URL("pyodide/", here).href });
  for (const book of books)
    python.unpackArchive(await book.arrayBuffer(), "zip", { extractDir: "/book" });
  python.runPython("import sys; sys.path.insert(0, '/book')");
  desk = python.pyimport("desk");
}

const tick = (theirs) => tell(theirs ? "working" : "comparing");

const plain = (answer) => {
  const found = answer.toJs({ dict_converter: Object.fromEntries });
  answer.destroy();
  return found;
};

function work({ id, task, chapter, name, code }) {
  desk.open_chapter(chapter, tick).destroy();
  const found = task === "check" ? desk.check(chapter, name, code) : desk.run(code);
  tell("answer", { id, task, ...plain(found), stopped: desk.stopped(name, 10) });
  return { chapter, name };
}

// While the reader writes, what later checks need is computed, a little at a time.
async function warm({ chapter, name }) {
  while (!waiting.length && desk.warm(chapter, name))
    await new Promise((done) => setTimeout(done));
}

async function next() {
  if (busy) return;
  busy = true;
  try {
    while (waiting.length) {
      const job = waiting.shift();
      if (!desk) await start(job.sizes);
      tell("working", { id: job.id });
      await warm(work(job));
    }
  } catch (error) {
    const text = String(error);
    const deep = /Maximum call stack|RecursionError/.test(text);
    const large = /memory|MemoryError|allocation/i.test(text);
    tell("broken", { deep, large, text: text.slice(-300) });
  }
  busy = false;
}

self.onmessage = ({ data }) => {
  waiting.push(data);
  next();
};

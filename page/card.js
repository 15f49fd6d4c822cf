// What an exercise's card gets: the editor, its buttons, and what was found.
const KEY = (name, what) => `bnkit:${name}:${what}`;
const stored = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) {
    try { value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value); } catch { /* a private window keeps nothing */ }
  },
};

function recordOf(name) {
  const found = JSON.parse(stored.get(KEY(name, "record")) ?? "null");
  return found ?? { attempts: 0, passed: false, last: "" };
}

function wordsOf({ attempts, passed, ready }) {
  if (!attempts) return "○ not started";
  const count = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
  if (ready) return `◐ right, but ready-made, ${count}`;
  return passed ? `✓ passed, ${count}` : `… tried, ${count}`;
}

const cards = [];
function showStates() {
  for (const { name, title, state } of cards) {
    const record = recordOf(name);
    if (!record.attempts) continue;
    if (state) state.textContent = wordsOf(record);
    for (const item of document.querySelectorAll(".bnkit-progress li"))
      if (item.textContent.startsWith(`${title}: `)) item.textContent = `${title}: ${wordsOf(record)}`;
  }
}

// As beside a kernel: the same code checked twice is one attempt, and code that did not run is none.
function count(name, code, { status, ready_made: ready = false }) {
  const record = recordOf(name);
  if (["not started", "not run", "broken"].includes(status) || record.last === code) return;
  stored.set(KEY(name, "record"), JSON.stringify({
    attempts: record.attempts + 1, passed: status === "passed" && !ready, ready, last: code }));
  showStates();
}

function show(out, { html, error, printed, task }) {
  out.said.innerHTML = html || "";
  if (error) {
    const line = document.createElement("pre");
    line.className = "bnkit-error";
    line.textContent = error;
    out.said.append(line);
  } else if (task === "run" && !printed) {
    out.said.textContent = "It ran, and printed nothing.";
  }
  if (/page's (torch lacks|Python has no)/.test(out.said.textContent))
    out.said.insertAdjacentHTML("beforeend", SETTINGS.elsewhere);
  out.printed.hidden = !printed;
  out.printed.textContent = printed;
}

function progress(out, news) {
  if (news.kind === "progress") {
    out.bar.hidden = false;
    out.bar.firstElementChild.max = news.total;
    out.bar.firstElementChild.value = news.loaded;
    const text = `Loading Python: ${megabytes(news.loaded)} of ${megabytes(news.total)}`;
    out.bar.lastElementChild.textContent = text;
  } else if (news.kind === "starting") {
    out.bar.lastElementChild.textContent = "Starting Python …";
  } else if (news.kind === "working") out.bar.hidden = true;
}

const FROM_DISK = () => {
  const root = decodeURI(new URL(SETTINGS.root, location.href).pathname).replace(/^\/([A-Z]:)/, "$1");
  return `<p>A page that was opened from the disk may not start Python. Serve the folder with this
    command, and open <code>http://localhost:8000</code>:</p>
    <pre class="bnkit-error">python3 -m http.server 8000 --directory "${escaped(root)}"</pre>`;
};

async function press(card, task) {
  const { name, editor, out, buttons } = card;
  if (location.protocol === "file:") {
    out.said.innerHTML = FROM_DISK();
    return;
  }
  const code = editor.value;
  buttons.forEach((button) => button.setAttribute("aria-disabled", "true"));
  out.said.textContent = task === "check" ? "Checking …" : "Running …";
  const found = await python.ask({ task, chapter: SETTINGS.chapter, name, code,
    progress: (news) => progress(out, news) });
  out.bar.hidden = true;
  show(out, found);
  if (task === "check") count(name, code, found);
  buttons.forEach((button) => button.removeAttribute("aria-disabled"));
}

function buttonsOf(card) {
  const row = document.createElement("div");
  row.className = "bnkit-buttons";
  const actions = {
    Check: () => press(card, "check"),
    Run: () => press(card, "run"),
    Reset: () => { card.editor.replace(card.stub); stored.set(KEY(card.name, "code"), null); },
  };
  card.buttons = Object.entries(actions).map(([label, act]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => button.getAttribute("aria-disabled") || act());
    row.append(button);
    return button;
  });
  return row;
}

function outputs() {
  const box = document.createElement("div");
  box.innerHTML = `<p class="bnkit-loading" hidden><progress aria-label="Loading Python"></progress> <span></span></p>
    <div class="bnkit-said" role="status"></div>
    <pre class="bnkit-printed" tabindex="0" role="region" aria-label="What your code printed" hidden></pre>`;
  const [bar, said, printed] = box.children;
  return { parts: [...box.children], bar, said, printed };
}

function equip(root, { name, title, stub, answer, reason }) {
  const note = root.querySelector(".bnkit-note");
  if (reason) {
    if (note) note.textContent = `${note.textContent} ${reason}`;
    return;
  }
  const card = { name, title, stub, state: root.querySelector(".bnkit-state"), out: outputs() };
  const id = `code-${name.replaceAll("_", "-")}`;
  card.editor = editorFor(id, `Your answer: ${answer}`, (code) => {
    stored.set(KEY(name, "code"), code === stub ? null : code);
  });
  card.editor.set(stored.get(KEY(name, "code")) ?? stub);
  const place = root.querySelector("details") ?? note;
  const parts = [card.editor.box, buttonsOf(card), ...card.out.parts];
  place ? place.before(...parts) : root.append(...parts);
  if (note) note.innerHTML = SETTINGS.note;
  cards.push(card);
}

function start() {
  const plain = (text) => text.replaceAll("`", "");
  for (const exercise of SETTINGS.exercises) {
    const group = document.querySelector(`.bnkit-exercise [aria-label="Exercise: ${CSS.escape(plain(exercise.title))}"]`);
    const root = document.querySelector(`[data-exercise="${exercise.name}"]`) ?? group;
    if (root) equip(root, { ...exercise, title: plain(exercise.title) });
  }
  for (const item of document.querySelectorAll(".bnkit-progress .bnkit-note")) if (cards.length) item.textContent = "This browser remembers here what you have passed and what you have tried.";
  showStates();
}

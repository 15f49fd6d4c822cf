// A field for code: colored, indented, and left by Escape and Tab.
const INDENT = "    ";

function editorFor(id, label, changed) {
  const box = document.createElement("div");
  box.className = "bnkit-editor";
  box.innerHTML = `<label for="${id}">${escaped(label)}</label>
    <p id="${id}-keys" class="bnkit-keys">Tab indents. To leave with the keyboard press Escape, then Tab.</p>
    <div class="bnkit-paper highlight"><pre aria-hidden="true"><code></code></pre><textarea
      id="${id}" aria-describedby="${id}-keys" wrap="off" spellcheck="false" autocomplete="off"
      autocapitalize="off" autocorrect="off" translate="no"></textarea></div>`;
  const field = box.querySelector("textarea"), shown = box.querySelector("code");
  let leaving = false;

  const draw = () => {
    shown.innerHTML = colored(field.value) + "\n";
    changed(field.value);
  };
  // The browser's own undo goes on working where text comes in as if it were typed.
  const put = (text, from = field.selectionStart, to = field.selectionEnd) => {
    field.setSelectionRange(from, to);
    const done = text ? document.execCommand("insertText", false, text)
      : from === to || document.execCommand("delete");
    if (!done) field.setRangeText(text, from, to, "end");
    draw();
  };
  const lineStart = (at) => field.value.lastIndexOf("\n", at - 1) + 1;

  function indent(back) {
    const { selectionStart: from, selectionEnd: to, value } = field;
    if (from === to && !back) return put(INDENT.slice((from - lineStart(from)) % 4));
    const first = lineStart(from), lines = value.slice(first, to).split("\n");
    const moved = lines.map((line) => back ? line.replace(/^ {1,4}/, "") : INDENT + line).join("\n");
    put(moved, first, to);
    field.setSelectionRange(from === to ? first + moved.length : first, first + moved.length);
  }

  function newLine() {
    const line = field.value.slice(lineStart(field.selectionStart), field.selectionStart);
    const before = line.match(/^ */)[0];
    const opens = /[:([{]\s*(#.*)?$/.test(line);
    const ends = /^\s*(return|pass|raise|break|continue)\b/.test(line);
    put("\n" + (opens ? before + INDENT : ends ? before.slice(4) : before));
  }

  function erase(event) {
    const at = field.selectionStart;
    const before = field.value.slice(lineStart(at), at);
    if (at !== field.selectionEnd || !/^( {4})+$/.test(before)) return;
    event.preventDefault();
    put("", at - 4, at);
  }

  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Tab" && !leaving) {
      event.preventDefault();
      indent(event.shiftKey);
    } else if (event.key === "Enter") {
      event.preventDefault();
      newLine();
    } else if (event.key === "Backspace") erase(event);
    if (event.key !== "Shift") leaving = event.key === "Escape";
  });
  field.addEventListener("blur", () => { leaving = false; });
  field.addEventListener("input", draw);
  return {
    box,
    field,
    get value() { return field.value; },
    set(text) { field.value = text; draw(); },
    replace(text) { field.focus(); put(text, 0, field.value.length); },
  };
}

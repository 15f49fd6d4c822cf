// Python in the colors of the page's other code: the classes are those of Pygments.
const PIECES = [
  ["c1", /#[^\n]*/],
  ["s2", /[rbfRBF]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/],
  ["mi", /\b(?:0[xX][\da-fA-F_]+|\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/],
  ["nd", /@[\w.]+/],
  ["k", /\b(?:and|as|assert|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b/],
  ["kc", /\b(?:True|False|None)\b/],
  ["nb", /\b(?:abs|all|any|bool|dict|enumerate|float|getattr|hasattr|int|isinstance|len|list|map|max|min|print|range|round|set|setattr|sorted|str|sum|super|tuple|type|zip)\b(?=\()/],
  ["bp", /\bself\b/],
  ["n", /[\p{L}_][\p{L}\p{N}_]*/u],
];
const PIECE = new RegExp(PIECES.map(([, one]) => `(${one.source})`).join("|"), "gu");
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (text) => text.replace(/[&<>]/g, (sign) => ENTITIES[sign]);

function colored(code) {
  let html = "", from = 0;
  for (const found of code.matchAll(PIECE)) {
    const kind = PIECES[found.slice(1).findIndex((part) => part !== undefined)][0];
    html += escaped(code.slice(from, found.index));
    html += kind === "n" ? escaped(found[0]) : `<span class="${kind}">${escaped(found[0])}</span>`;
    from = found.index + found[0].length;
  }
  return html + escaped(code.slice(from));
}

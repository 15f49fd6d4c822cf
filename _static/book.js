// A table of the text that a phone would cut off, or squeeze into tall rows, is shown as cards, one a
// row (book.css): each cell then says its heading, which is copied with its mathematics. Tables of
// numbers below code scroll.
(() => {
  const phone = matchMedia("(width < 600px)");
  const tallest = 120; // px, five lines
  const boxes = ".bd-article .pst-scrollable-table-container:not(.cell_output *, .claims-ledger)";
  const label = table => table.querySelectorAll("tbody td").forEach(cell => {
    const heading = table.tHead.rows[0].cells[cell.cellIndex];
    if (!heading.textContent.trim() || !cell.textContent.trim()) return;
    if (cell.textContent.trim().length < 13) cell.classList.add("short");
    const text = document.createElement("span");
    text.className = "cell-label";
    text.append(...(heading.querySelector("p") || heading).cloneNode(true).childNodes, ": ");
    (cell.querySelector("p") || cell).prepend(text);
  });
  const stack = () => document.querySelectorAll(boxes).forEach(box => {
    box.classList.remove("stacked");
    const wide = box.scrollWidth > box.clientWidth + 1, table = box.querySelector("table");
    if (!phone.matches || !(wide || [...table.rows].some(row => row.offsetHeight > tallest))) return;
    if (!box.querySelector(".cell-label")) label(table);
    box.classList.add("stacked");
  });

  // A box that still scrolls sideways must be reachable by keyboard: code, outputs, equations, tables.
  const scrolling = ".bd-article :is(pre, .output, .wide-figure, div.math, mjx-container, .pst-scrollable-table-container)";
  const mark = () => document.querySelectorAll(scrolling).forEach(box => {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
  });

  const fit = () => { stack(); mark(); };
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(fit));
  addEventListener("resize", fit);
  document.addEventListener("toggle", fit, true); // what a fold held had no width before
  document.addEventListener("click", () => requestAnimationFrame(mark)); // nor what a guess reveals
})();

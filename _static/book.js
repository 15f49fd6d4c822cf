// A box that scrolls sideways must be reachable by keyboard: code, outputs, equations, tables.
(() => {
  const boxes = ".bd-article :is(pre, .output, div.math, mjx-container, .pst-scrollable-table-container)";
  const mark = () => document.querySelectorAll(boxes).forEach(box => {
    const scrolls = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
  });
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
  addEventListener("resize", mark);
})();

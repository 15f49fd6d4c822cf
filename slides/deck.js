// reveal.js with the book's mathematics. MathJax runs first; then each slide is fitted into its page.
window.MathJax = {
  tex: { inlineMath: [["$", "$"], ["\\(", "\\)"]], macros: { bm: ["\\boldsymbol{#1}", 1] } },
  chtml: { matchFontHeight: false }, // a hidden slide has no font to match
  options: {
    enableMenu: false, // the menu would fetch parts that are not shipped
    ignoreHtmlClass: "bnkit|bnpg|bnkit-claim|highlight",
    processHtmlClass: "tex2jax_process",
  },
  startup: { pageReady: () => MathJax.startup.defaultPageReady().then(start) },
};

const FOOT = 40; // pixels of a slide that its number and the book's name need
const OWN_KEYS = ".bnkit, .bnpg, .bnkit-train-here, [role=slider], input, select, button, summary";

function start() {
  for (const exhibit of document.querySelectorAll(".exhibit")) exhibit.dataset.preventSwipe = "";
  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0.02,
    center: false,
    display: "flex",
    hash: true,
    transition: "none",
    slideNumber: "c/t",
    plugins: [RevealNotes],
    // The arrows belong to a slider or a question that has the focus.
    keyboardCondition: () => !document.activeElement?.closest?.(OWN_KEYS),
  }).then(() => {
    const refit = () => fit(Reveal.getCurrentSlide());
    Reveal.on("slidechanged", refit);
    Reveal.on("pdf-ready", () => Reveal.getSlides().forEach(fit));
    new ResizeObserver(refit).observe(document.querySelector(".slides"));
    new MutationObserver(() => requestAnimationFrame(shrink)).observe(
      document.querySelector(".slides"),
      { childList: true, subtree: true }, // what a widget adds
    );
    for (const name of ["click", "input", "toggle"])
      document.addEventListener(name, () => requestAnimationFrame(refit), true);
    for (const slide of Reveal.getSlides()) {
      const images = [...slide.querySelectorAll("img")];
      Promise.all(images.map((image) => image.decode().catch(() => {}))).then(refit);
    }
    document.documentElement.dataset.ready = "";
    refit();
  });
}

// Too tall, an exhibit becomes smaller, in steps, until heading, exhibit and sentences fit.
function fit(slide) {
  const exhibit = slide?.querySelector(".exhibit");
  if (!exhibit) return;
  let zoom = { playground: 1.6, train: 1.1 }[slide.dataset.kind] ?? 1; // where the type is small
  do exhibit.style.zoom = zoom;
  while (overflows(slide) && (zoom = Math.round(zoom * 100 - 5) / 100) >= 0.4);
}

function shrink() {
  if (overflows(Reveal.getCurrentSlide())) fit(Reveal.getCurrentSlide());
}

function overflows(slide) {
  const page = slide.getBoundingClientRect();
  const bottom = page.bottom - FOOT * Reveal.getScale();
  const inside = [...slide.children].filter((child) => child.tagName !== "ASIDE");
  const wide = [...slide.querySelectorAll("pre, table, mjx-container")];
  return (
    inside.some((child) => child.getBoundingClientRect().bottom > bottom + 1) ||
    wide.some(
      (child) =>
        child.getBoundingClientRect().right > page.right + 1 ||
        (child.tagName === "PRE" && child.scrollWidth > child.clientWidth + 1),
    )
  );
}

// Beside each poster: what the button does, and an address that carries a setting opens the first.
function fetchScript(name) {
  return new Promise((resolve, reject) => {
    const folder = document.documentElement.dataset.content_root ?? "../"; // as Sphinx says where the site begins
    const script = Object.assign(document.createElement("script"), { src: `${folder}_static/${name}` });
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${name} is not beside this page; run the cell, or open the book's site`));
    document.head.append(script);
  });
}

function open(name, { settings, scripts, weight }) {
  const root = document.querySelector(`[data-bnkit="${name}"]:not([data-on])`);
  if (!root) return;
  root.dataset.on = "";
  const poster = root.querySelector(".bntr-poster"), button = root.querySelector("button"), carried = root.querySelectorAll('[type="text/plain"]');
  const load = async (k) => (carried.length ? new Function(carried[k].textContent)() : fetchScript(scripts[k]));
  const addressed = !carried.length && !document.querySelector("[data-addressed]");
  if (addressed) root.dataset.addressed = "";
  const show = async () => {
    button.disabled = true;
    try {
      if (!globalThis.bnkitTrainHere) await load(0);
      const digits = async () => { if (!globalThis.bnkitDigits) await load(1); return globalThis.bnkitDigits; };
      bnkitTrainHere(poster, { settings, digits, weight, addressed });
      return true;
    } catch (error) {
      button.disabled = false;
      root.querySelector("small").textContent = `It cannot open: ${error.message}.`;
    }
  };
  button.dataset.lmSuppressShortcuts = "true";
  button.addEventListener("click", async () => (await show()) && root.querySelector('[data-do="toggle"]').focus());
  const called = () => { if (addressed && !root.querySelector(".bntr") && /[#&]lr=/.test(location.hash)) show().then(() => root.scrollIntoView()); };
  addEventListener("hashchange", called);
  called();
}

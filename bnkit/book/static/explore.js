function wire(root, data) {
  const image = root.querySelector("img");
  const state = root.querySelector(".bnkit-at");
  const inputs = [...root.querySelectorAll("input")];
  const outputs = root.querySelectorAll("output");
  data.frames[data.shown] = image.src.split(",")[1];

  const show = () => {
    let at = 0;
    inputs.forEach((input, k) => {
      const values = data.values[k];
      at = at * values.length + Number(input.value);
      input.setAttribute("aria-valuetext", values[input.value]);
      input.style.setProperty("--bnkit-at", `${(100 * input.value) / Math.max(input.max, 1)}%`);
      outputs[k].value = values[input.value];
    });
    image.src = "data:image/png;base64," + data.frames[data.frame[at]];
    image.alt = data.alts[data.alt[at]];
    state.textContent = inputs.map((input, k) => `${data.labels[k]} = ${outputs[k].value}`).join(", ");
  };

  inputs.forEach((input) => input.addEventListener("input", show));
  root.querySelector(".bnkit-controls").hidden = false;
  show();
}

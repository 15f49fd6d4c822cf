function wire(root, data) {
  const form = root.querySelector("form");
  const button = root.querySelector("button");
  const say = root.querySelector(".bnkit-say");
  const details = root.querySelector("details");
  const inputs = [...form.querySelectorAll("input")];
  const feedback = details.querySelectorAll(".bnkit-why");

  const copy = (element) => [...element.childNodes].map((node) => node.cloneNode(true));
  const tell = (right, words, numbers) => {
    const note = document.createElement("div");
    note.className = right ? "bnkit-right" : "bnkit-wrong";
    const verdict = document.createElement("strong");
    verdict.textContent = (right ? "\u2713 " : "\u2717 ") + words;
    note.append(verdict);
    for (const i of numbers) {
      const why = document.createElement("p");
      if (data.several) why.append(...copy(inputs[i].nextElementSibling), ": ");
      why.append(...copy(feedback[i]));
      note.append(why);
    }
    say.replaceChildren(note);
  };

  const number = (text) => {
    const parts = text.trim().replaceAll(",", ".").replaceAll("\u2212", "-").split("/");
    const values = parts.map((part) => (part.trim() ? Number(part) : NaN));
    return values.length === 2 ? values[0] / values[1] : values.length === 1 ? values[0] : NaN;
  };

  const checkNumber = () => {
    const value = number(inputs[0].value);
    if (!Number.isFinite(value)) return tell(false, "Type a number, such as 0.5 or 1/2.", []);
    const near = (target) => Math.abs(value - target) <= data.tolerance * (1 + 1e-9);
    if (near(data.answer)) return tell(true, "Right.", [0]);
    const known = data.cases.findIndex(near);
    tell(false, "Not quite.", [known < 0 ? 1 : known + 2]);
  };

  const checkChoices = () => {
    const chosen = inputs.flatMap((input, i) => (input.checked ? [i] : []));
    if (!chosen.length) return tell(false, "Choose an answer first.", []);
    const wrong = chosen.filter((i) => !data.correct.includes(i)).length;
    const missing = data.several ? data.correct.filter((i) => !chosen.includes(i)).length : 0;
    if (data.predict) {
      root.dataset.revealed = "";
      form.querySelector("fieldset").disabled = button.disabled = true;
      return tell(!wrong, wrong ? "Not as you guessed." : "As you guessed.", chosen);
    }
    const words = [wrong && `${wrong} wrong`, missing && `${missing} missing`].filter(Boolean).join(", ");
    const verdict = data.several ? `Not yet: ${words}.` : "Not quite.";
    tell(!wrong && !missing, wrong || missing ? verdict : "Right.", chosen);
  };

  const check = data.correct ? checkChoices : checkNumber;
  button.addEventListener("click", check);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    check();
  });
  button.hidden = false;
  details.hidden = true;
}

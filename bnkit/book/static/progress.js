function wire(root) {
  const count = root.querySelector(".bnkit-count");
  const solved = new Set();

  const show = () => {
    const questions = [...document.querySelectorAll(".bnkit-quiz:not(:has(.bnkit-reveal))")];
    for (const quiz of questions) if (quiz.querySelector(".bnkit-right")) solved.add(quiz);
    const right = questions.filter((quiz) => solved.has(quiz)).length;
    const text = `Questions of this page answered right: ${right} of ${questions.length}`;
    if (count.textContent !== text) count.textContent = text;
    count.hidden = !questions.length;
  };

  // The listeners of a quiz itself run first.
  document.addEventListener("click", show);
  document.addEventListener("submit", show);
  show();
}

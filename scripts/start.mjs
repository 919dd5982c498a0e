// `npm start`: from a fresh clone to a running server. Arguments go to `roomcast serve`.
// package.json starts us by `exec`, since npm passes signals to its shell, which keeps them.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { prepare } from "./lib/prepare.mjs";
import { explain } from "./lib/steps.mjs";
import { supervise } from "./lib/supervise.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  await prepare(root);
  const command = join(root, "dist/cli/main.js");
  process.exitCode = await supervise(process.execPath, [
    command,
    "serve",
    ...process.argv.slice(2),
  ]);
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}

// `npm run example <name>`: builds what the examples use, and runs one of them.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./lib/build.mjs";
import { explain } from "./lib/steps.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "examples");
const mainOf = (/** @type {string} */ name) => join(folder, name, "main.ts");
const names = readdirSync(folder).filter((name) => existsSync(mainOf(name)));

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  const wrong =
    name === undefined || name.startsWith("-")
      ? ""
      : `There is no example ${JSON.stringify(name)}.\n`;
  console.log(
    `${wrong}Usage: npm run example <name>\n\nExamples: ${names.join(", ")}\n\nEach says in its first lines what it shows. PORT is 8000 unless you set it.`,
  );
  process.exitCode = wrong === "" ? 0 : 1;
} else {
  try {
    await build(root);
    const child = spawn(process.execPath, ["--import", "tsx", mainOf(name), ...args], {
      cwd: root,
      stdio: "inherit",
    });
    // A terminal sends Ctrl-C to both; the example ends by itself.
    for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
      process.on(signal, () => signal === "SIGTERM" && child.kill(signal));
    }
    child.on("exit", (code) => {
      process.exitCode = code ?? 1;
    });
  } catch (error) {
    console.error(explain(error));
    process.exitCode = 1;
  }
}

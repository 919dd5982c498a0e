// `npm run trial`: tries the package as a user gets it, packed and installed into empty folders, with the compilers,
// runtimes and frameworks people use it with. Arguments choose trials by a part of their names. Needs the npm registry.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { npmCommand, run } from "./lib/command.mjs";
import { explain, step } from "./lib/steps.mjs";
import { applications } from "./trial/applications.mjs";
import { frameworks } from "./trial/frameworks.mjs";
import { runtimes } from "./trial/runtimes.mjs";
import { types } from "./trial/types.mjs";

/**
 * @typedef {object} Trial
 * @property {string} name
 * @property {readonly string[]} packages installed beside ours
 * @property {Readonly<Record<string, string>>} files written into the folder; a package.json of its own if there is one
 * @property {readonly (readonly [string, ...string[]])[]} commands each has to succeed; those in node_modules/.bin by name
 */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), "roomcast-trial-"));

/** What npm tells its scripts of this project is nothing that a user's folder has. */
const OUTSIDE = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")),
);

/** @param {string} tarball @param {Trial} trial */
async function tryOut(tarball, { name, packages, files, commands }) {
  const cwd = join(home, name.replace(/[^\w.]+/g, "-"));
  const all = { "package.json": '{"private":true,"type":"module"}', ...files };
  for (const [file, text] of Object.entries(all)) {
    const path = join(cwd, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const [npm, ...npmArgs] = npmCommand();
  const install = ["install", "--no-audit", "--no-fund", "--no-package-lock", tarball, ...packages];
  await run(npm, [...npmArgs, ...install], { cwd, env: OUTSIDE });
  const PATH = `${join(cwd, "node_modules/.bin")}:${process.env.PATH}`;
  for (const [command, ...args] of commands) {
    await run(command, args, { cwd, env: { ...OUTSIDE, PATH, CI: "1" } });
  }
}

let failed = 0;
try {
  const [npm, ...npmArgs] = npmCommand();
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", home];
  const { stdout } = await run(npm, [...npmArgs, ...pack], { cwd: root });
  const tarball = join(home, JSON.parse(stdout)[0].filename);
  const trials = [...types, ...runtimes, ...frameworks, ...applications].filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  );
  for (const trial of trials) {
    try {
      await step(trial.name, () => tryOut(tarball, trial));
    } catch (error) {
      console.error(explain(error));
      failed++;
    }
  }
  console.log(`${trials.length - failed} of ${trials.length} trials went well.`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;

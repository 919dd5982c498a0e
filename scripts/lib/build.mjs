import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { bundleClient } from "./client-bundle.mjs";
import { run } from "./command.mjs";
import { fingerprint } from "./fingerprint.mjs";
import { step } from "./steps.mjs";

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {readonly string[]} inputs files and folders it is made from
 * @property {string} product a file that a finished build always has
 * @property {(root: string) => Promise<unknown>} make
 */

/** This file: what it says how to build is itself an input. */
const RECIPE = "scripts/lib/build.mjs";
const BUNDLE = "scripts/lib/client-bundle.mjs";

/** @type {Target} */
const library = {
  name: "library",
  inputs: ["src", "tsconfig.json", "tsconfig.build.json", "package-lock.json", RECIPE, BUNDLE],
  product: "dist/index.js",
  async make(root) {
    const dist = join(root, "dist");
    // tsc leaves the output of deleted sources behind; dist/web is the other target's.
    for (const entry of existsSync(dist) ? readdirSync(dist) : []) {
      if (entry !== "web") rmSync(join(dist, entry), { recursive: true });
    }
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    await run(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root });
    await bundleClient(root);
    // `npx roomcast` in the checkout runs the file itself.
    chmodSync(join(dist, "cli/main.js"), 0o755);
  },
};

/** @type {Target} */
const pages = {
  name: "pages",
  inputs: ["web", "src", "tsconfig.json", "package-lock.json", RECIPE],
  product: "dist/web/index.html",
  async make(root) {
    const vite = join(root, "node_modules/vite/bin/vite.js");
    await run(process.execPath, [vite, "build", "web"], { cwd: root });
  },
};

/** @type {readonly Target[]} */
const targets = [library, pages];

/**
 * @param {string} root
 * @param {Target} target
 * @returns {string | undefined} changes when an input does, and when somebody else builds
 */
function stateOf(root, target) {
  const product = join(root, target.product);
  if (!existsSync(product)) return undefined;
  return `${fingerprint(root, target.inputs)} ${statSync(product).mtimeMs}\n`;
}

/**
 * Builds what is not up to date into dist/.
 *
 * @param {string} root
 * @param {{ force?: boolean }} [options] force: build even what is up to date
 */
export async function build(root, { force = false } = {}) {
  const cache = join(root, "node_modules/.cache/roomcast");
  for (const target of targets) {
    const record = join(cache, `${target.name}.built`);
    const recorded = existsSync(record) ? readFileSync(record, "utf8") : undefined;
    const state = stateOf(root, target);
    if (!force && state !== undefined && state === recorded) continue;
    await step(`build the ${target.name}`, () => target.make(root));
    mkdirSync(cache, { recursive: true });
    writeFileSync(record, stateOf(root, target) ?? "");
  }
}

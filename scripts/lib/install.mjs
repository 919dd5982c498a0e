import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { npmCommand, run } from "./command.mjs";
import { step } from "./steps.mjs";

/**
 * @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lockfile
 */

/**
 * The first package that is not installed as locked. npm writes the list of what it installed
 * last, so an install that was interrupted leaves no list. Optional packages may be left out,
 * as those for other platforms are.
 *
 * @param {Lockfile} locked package-lock.json
 * @param {Lockfile} installed node_modules/.package-lock.json
 * @returns {string | undefined} its path
 */
export function firstStalePackage(locked, installed) {
  for (const [path, wanted] of Object.entries(locked.packages)) {
    if (path === "") continue;
    const present = installed.packages[path];
    if (!present && wanted.optional) continue;
    if (present?.version !== wanted.version || present?.integrity !== wanted.integrity) return path;
  }
  return undefined;
}

/**
 * @param {string} root
 * @returns {boolean}
 */
function isInstalled(root) {
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const read = (/** @type {string} */ file) => JSON.parse(readFileSync(file, "utf8"));
  return firstStalePackage(read(join(root, "package-lock.json")), read(installed)) === undefined;
}

/**
 * Installs what package-lock.json asks for, unless it is there already.
 *
 * @param {string} root
 */
export async function install(root) {
  if (isInstalled(root)) return;
  const [npm, ...args] = npmCommand();
  // The build needs the development dependencies, whatever NODE_ENV says.
  await step("install dependencies", () =>
    run(npm, [...args, "ci", "--include=dev", "--no-audit", "--no-fund"], { cwd: root }),
  );
}

import { join } from "node:path";
import { capture, npmCommand } from "./command.mjs";
import { StepError, step } from "./steps.mjs";

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {[string, ...string[]]} command
 * @property {(stdout: string) => string | undefined} [complaint] looks at what a successful
 *   command printed
 */

/** What the package holds. */
const PACKAGED = new Set(["package.json", "README.md", "CHANGELOG.md", "LICENSE"]);
const FOLDERS = ["dist/", "docs/", "examples/", "deploy/"];

/**
 * @param {string} packed what `npm pack --json` printed
 * @returns {string | undefined} what is wrong with it
 */
export function packageComplaint(packed) {
  /** @type {{ files: { path: string }[] }[]} */
  const [tarball] = JSON.parse(packed);
  const paths = (tarball?.files ?? []).map((file) => file.path);
  const strangers = paths.filter(
    (path) => !PACKAGED.has(path) && !FOLDERS.some((folder) => path.startsWith(folder)),
  );
  const absent = [...PACKAGED].filter((path) => !paths.includes(path));
  if (!paths.includes("dist/index.js")) absent.push("dist/index.js");
  if (strangers.length > 0) return `The package holds ${strangers.join(", ")}.`;
  if (absent.length > 0) return `The package lacks ${absent.join(", ")}.`;
  return undefined;
}

/**
 * @param {string} root
 * @returns {Check[]}
 */
function checksOf(root) {
  const tool = (/** @type {string} */ path, /** @type {string[]} */ ...args) =>
    /** @type {[string, ...string[]]} */ ([
      process.execPath,
      join(root, "node_modules", path),
      ...args,
    ]);
  return [
    { name: "format and lint (biome)", command: tool("@biomejs/biome/bin/biome", "check", ".") },
    { name: "types (tsc)", command: tool("typescript/bin/tsc", "-p", "tsconfig.json") },
    { name: "types of the pages (tsc)", command: tool("typescript/bin/tsc", "-p", "web") },
    {
      name: "types of the React example (tsc)",
      command: tool("typescript/bin/tsc", "-p", "examples/react"),
    },
    { name: "package (publint)", command: tool("publint/src/cli.js", "run", "--strict") },
    {
      name: "package types (attw)",
      command: tool("@arethetypeswrong/cli/dist/index.js", "--pack", ".", "--profile", "esm-only"),
    },
    { name: "size of the client in browsers", command: tool("../scripts/client-size.mjs") },
    { name: "unused code (knip)", command: tool("knip/bin/knip.js") },
    {
      name: "package contents (npm pack)",
      command: [...npmCommand(), "pack", "--dry-run", "--json"],
      complaint: packageComplaint,
    },
  ];
}

/**
 * Runs every check on the checkout, one after another.
 *
 * @param {string} root
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function runChecks(root) {
  const count = { passed: 0, failed: 0 };
  for (const check of checksOf(root)) {
    try {
      await step(check.name, async () => {
        const [file, ...args] = check.command;
        const result = await capture(file, args, { cwd: root });
        const complaint = result.code === 0 ? check.complaint?.(result.stdout) : result.output;
        if (result.code !== 0 || complaint) throw new StepError(complaint?.trimEnd());
      });
      count.passed++;
    } catch (error) {
      console.error(error instanceof StepError ? error.message : error);
      count.failed++;
    }
  }
  return count;
}

import { build } from "./build.mjs";
import { install } from "./install.mjs";
import { unsupportedNode } from "./node-version.mjs";
import { StepError } from "./steps.mjs";

/**
 * Brings a checkout, fresh or old, to where dist/ can run.
 *
 * @param {string} root
 * @throws {StepError} when this Node.js is too old, or a step fails
 */
export async function prepare(root) {
  const unsupported = unsupportedNode(process.versions.node);
  if (unsupported) throw new StepError(unsupported);
  await install(root);
  await build(root);
}

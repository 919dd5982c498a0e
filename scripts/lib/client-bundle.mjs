import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** The client for pages without a bundler, in one file: `<script type="module">` can import it. */
const BUNDLE = "dist/roomcast-client.js";

/**
 * Bundles the browser build of the client.
 *
 * @param {string} root
 */
export async function bundleClient(root) {
  // Only a build needs it, and a build may be what follows the installation.
  const { build } = await import("esbuild");
  await build({
    entryPoints: [join(root, "src/client.browser.ts")],
    outfile: join(root, BUNDLE),
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    logLevel: "warning",
  });
}

/**
 * @param {string} root
 * @returns {{ bytes: number, gzipped: number }} how large the bundle is
 */
export function clientSize(root) {
  const bundle = readFileSync(join(root, BUNDLE));
  return { bytes: bundle.length, gzipped: gzipSync(bundle, { level: 9 }).length };
}

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
  const { build } = await import("rolldown");
  await build({
    input: join(root, "src/client.browser.ts"),
    platform: "browser",
    transform: { target: "es2022" },
    output: {
      file: join(root, BUNDLE),
      comments: false,
      minify: true,
    },
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

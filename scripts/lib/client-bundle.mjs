import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** The client for pages without a bundler, in one file: `<script type="module">` can import it. */
const BUNDLE = "dist/roomcast-client.js";

/**
 * Names that the client's files have between them. They are shortened in the bundle, as local names are, so none of
 * them may also be a name of the API, of a frame, of a browser or of the language.
 */
export const INTERNAL_NAMES = `
  afterClose afterFailure answered arrive beat began begin broken bytes cancel connection emit end ended error event
  events fail final finished firm frame goodbye hasHeaders heard heartbeat held hold inbox info isOnline joined
  left listened listener lost onWake open opened options outbox outgoing ping places policy ponged read received recent
  refresh reject renew reset resolve resume retryAfterMs runtime schedule socket start stop structured
  succession take taken terminate told took unauthorized wait
`
  .trim()
  .split(/\s+/);

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
      minify: {
        compress: true,
        mangle: true,
        codegen: true,
        mangleProps: { include: new RegExp(`^(${INTERNAL_NAMES.join("|")})$`) },
      },
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

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** The client for pages without a bundler, in one file: `<script type="module">` can import it. */
const BUNDLE = "dist/roomcast-client.js";
const SOURCE = "src/client.browser.ts";
const TARGET = "es2022";

/**
 * Bundles the browser build of the client.
 *
 * @param {string} root
 */
export async function bundleClient(root) {
  // Only a build needs it, and a build may be what follows the installation.
  const { build } = await import("rolldown");
  await build({
    input: join(root, SOURCE),
    platform: "browser",
    transform: { target: TARGET },
    output: { file: join(root, BUNDLE), comments: false, minify: true },
  });
}

/**
 * @param {string} root
 * @returns {{ bytes: number, gzipped: number }} how large the bundle is
 */
export function clientSize(root) {
  return sizeOf(readFileSync(join(root, BUNDLE)));
}

/**
 * Bundles what an application does that uses only `WebSocketClient`, in the way each bundler does it by default.
 *
 * @param {string} root
 * @returns {Promise<{ bundler: string, bytes: number, gzipped: number }[]>}
 */
export async function bundleLikeApplications(root) {
  const [{ build: esbuild }, { build: rolldown }, { build: vite }] = await Promise.all([
    import("esbuild"),
    import("rolldown"),
    import("vite"),
  ]);
  const source = `export { WebSocketClient } from ${JSON.stringify(join(root, SOURCE))};`;
  const name = "application.js";
  /** An application in memory, for bundlers that have plugins as Rollup has. */
  const plugin = {
    name: "application",
    /** @param {string} id */
    resolveId: (id) => (id === name ? name : null),
    /** @param {string} id */
    load: (id) => (id === name ? source : null),
  };

  const byEsbuild = await esbuild({
    stdin: { contents: source, resolveDir: root },
    bundle: true,
    format: "esm",
    minify: true,
    target: TARGET,
    legalComments: "none",
    write: false,
  });
  const byRolldown = await rolldown({
    input: name,
    plugins: [plugin],
    platform: "browser",
    write: false,
    output: { minify: true, comments: false },
  });
  const byVite = await vite({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [plugin],
    build: {
      write: false,
      target: TARGET,
      rollupOptions: { input: name, preserveEntrySignatures: "strict" },
    },
  });
  const vited = [byVite].flat()[0];
  const chunk = vited && "output" in vited ? vited.output[0] : undefined;
  return [
    { bundler: "esbuild", ...sizeOf(byEsbuild.outputFiles[0]?.contents) },
    { bundler: "rolldown", ...sizeOf(byRolldown.output[0].code) },
    { bundler: "Vite", ...sizeOf(chunk && "code" in chunk ? chunk.code : undefined) },
  ];
}

/** @param {string | Uint8Array | undefined} code */
function sizeOf(code) {
  if (!code) throw new Error("The bundler made nothing.");
  return { bytes: Buffer.from(code).length, gzipped: gzipSync(code, { level: 9 }).length };
}

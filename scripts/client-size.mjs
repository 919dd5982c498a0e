// `npm run size`: prints how large the client is in browsers, and fails if that is too large.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleClient, bundleLikeApplications, clientSize } from "./lib/client-bundle.mjs";

/** 9 KB. */
const LIMIT = 9216;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
await bundleClient(root);
const { bytes, gzipped } = clientSize(root);
console.log(`The client in one file: ${gzipped} bytes gzipped (${bytes} as it is), of ${LIMIT}.`);
for (const { bundler, bytes, gzipped } of await bundleLikeApplications(root)) {
  console.log(
    `WebSocketClient bundled by ${bundler}: ${gzipped} bytes gzipped (${bytes} as it is).`,
  );
}
if (gzipped > LIMIT) process.exitCode = 1;

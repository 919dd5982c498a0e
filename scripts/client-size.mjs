// `npm run size`: prints how large the client is in browsers, and fails if that is too large.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleClient, bundleLikeApplications, clientSize } from "./lib/client-bundle.mjs";

/** In bytes. It is to become 8 KB, which is 8192; until then the client must not grow. */
const LIMIT = 8660;

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

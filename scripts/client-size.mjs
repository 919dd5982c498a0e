// `npm run size`: prints how large the client is in browsers, and fails if that is too large.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleClient, clientSize } from "./lib/client-bundle.mjs";

/** 8 KB. */
const LIMIT = 8192;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
await bundleClient(root);
const { bytes, gzipped } = clientSize(root);
console.log(`The client in browsers: ${gzipped} bytes gzipped (${bytes} as it is), of ${LIMIT}.`);
if (gzipped > LIMIT) process.exitCode = 1;

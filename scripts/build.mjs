// `npm run build`: builds the library and the pages, up to date or not.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./lib/build.mjs";
import { explain } from "./lib/steps.mjs";

try {
  await build(dirname(dirname(fileURLToPath(import.meta.url))), { force: true });
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}

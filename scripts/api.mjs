// `npm run api`: writes what the package exports, types and all, to api/, so that a change of it shows in every diff.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { apiReport } from "./lib/api-report.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** @type {{ exports: Record<string, unknown> }} */
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

mkdirSync(join(root, "api"), { recursive: true });
for (const path of Object.keys(exports)) {
  if (path === "./package.json") continue;
  const entry = path === "." ? "index" : path.slice(2);
  writeFileSync(join(root, "api", `${entry}.md`), apiReport(root, entry));
  console.log(`api/${entry}.md`);
}

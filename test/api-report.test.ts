import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { apiReport } from "../scripts/lib/api-report.mjs";
import { repositoryRoot } from "./support/repository.ts";

const { exports: entries }: { exports: Record<string, unknown> } = JSON.parse(
  readFileSync(join(repositoryRoot, "package.json"), "utf8"),
);
const names = Object.keys(entries)
  .filter((path) => path !== "./package.json")
  .map((path) => (path === "." ? "index" : path.slice(2)));

test.each(names)(
  "api/%s.md says what is exported; if that is meant to change: npm run api",
  (name) => {
    const report = readFileSync(join(repositoryRoot, "api", `${name}.md`), "utf8");
    expect(apiReport(repositoryRoot, name)).toBe(report);
    expect(report).toMatch(/^## \w+/m);
  },
);

test("there is a report of every entry, and of nothing else", () => {
  expect(readdirSync(join(repositoryRoot, "api")).sort()).toEqual(
    names.map((name) => `${name}.md`).sort(),
  );
});

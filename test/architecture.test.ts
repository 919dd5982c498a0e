import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "./support/repository.ts";

const text = readFileSync(join(repositoryRoot, "docs/architecture.md"), "utf8");

test("every file and folder that the page on the architecture names exists", () => {
  const named = [...text.matchAll(/\b(?:src|test)\/[\w./-]*\w/g)].map(([path]) => path);
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((path) => !existsSync(join(repositoryRoot, path)))).toEqual([]);
});

test("its words are defined once, and stand in the code they point to", () => {
  const rows = [...text.matchAll(/^\| ([a-z, ]+?) +\| [^|]+ \| `([^`]+)` +\|$/gm)];
  const words = rows.flatMap(([, names = ""]) => names.split(", "));
  expect(words.length).toBeGreaterThan(15);
  expect(new Set(words).size).toBe(words.length);
  for (const [, names = "", path = ""] of rows) {
    const code = readFileSync(join(repositoryRoot, path), "utf8").toLowerCase();
    for (const name of names.split(", ")) expect(code).toContain(name.split(" ")[0]);
  }
});

test("what a file is said to do in the way of a message, a join or a resume has its name there", () => {
  const steps = [...text.matchAll(/^\d+\. `(src\/[^`]+)`[^:]*: (.*)$/gm)];
  expect(steps.length).toBeGreaterThanOrEqual(28);
  const missing = steps.flatMap(([, path = "", what = ""]) => {
    const code = readFileSync(join(repositoryRoot, path), "utf8");
    const names = [...what.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
    return names.filter((name) => !code.includes(name)).map((name) => `${path}: ${name}`);
  });
  expect(missing).toEqual([]);
});

test("a message's way is at most a dozen files", () => {
  const [, way = ""] = text.split("## The way of a message");
  const [section = ""] = way.split("## The way of a join");
  const files = new Set([...section.matchAll(/`(src\/[^`]+)`/g)].map(([, path]) => path));
  expect(files.size).toBeLessThanOrEqual(12);
});

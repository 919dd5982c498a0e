import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../support/repository.ts";
import { families } from "./families.ts";

const total = families.reduce((sum, { cases }) => sum + cases.length, 0);

test("the table of attacks in docs/security.md is what the suite runs", () => {
  const text = readFileSync(join(repositoryRoot, "docs/security.md"), "utf8");
  const rows = text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const from = rows.findIndex(([first]) => first === "attacks");
  expect(rows.slice(from + 2, from + 3 + families.length)).toEqual([
    ...families.map(({ name, tried, answered, cases }) => [
      name,
      tried,
      answered,
      String(cases.length),
    ]),
    ["all", "", "", String(total)],
  ]);
});

test("no case is counted twice, and there are at least 1,500", () => {
  for (const { cases } of families) {
    const names = cases.map(({ name }) => name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  }
  expect(total).toBeGreaterThanOrEqual(1500);
});

test("every family is run", () => {
  const files = ["sockets", "http", "load", "pages"].map((name) =>
    readFileSync(join(repositoryRoot, `test/attacks/${name}.test.ts`), "utf8"),
  );
  const run = files.flatMap((text) => text.match(/^attack\(\w+\)/gm) ?? []);
  expect(run).toHaveLength(families.length);
});

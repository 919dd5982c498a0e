import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MINIMUM_NODE, unsupportedNode } from "../../scripts/lib/node-version.mjs";
import { repositoryRoot } from "../support/repository.ts";

test("an older Node.js is told which version is needed", () => {
  expect(unsupportedNode("20.18.3")).toBe(
    "Roomcast needs Node.js 20.19 or newer; this is 20.18.3.",
  );
  expect(unsupportedNode("18.20.0")).toContain("this is 18.20.0");
});

test.each(["20.19.0", "20.20.2", "22.0.0", "26.1.0"])("Node.js %s is welcome", (version) => {
  expect(unsupportedNode(version)).toBeUndefined();
});

test("package.json asks for the same Node.js", () => {
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
  expect(manifest.engines.node).toBe(`>=${MINIMUM_NODE.join(".")}`);
});

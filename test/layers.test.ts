import { dirname } from "node:path";
import { expect, test } from "vitest";
import { findCycle, readImports } from "./support/imports.ts";

/** The layer of each folder or file of src/; the longest matching path decides. */
const LAYERS: Record<string, number> = {
  "src/protocol": 0,
  "src/fanout": 1,
  "src/connections": 1,
  "src/history": 1,
  "src/presence": 1,
  "src/events": 1,
  "src/backplane/contract": 2,
  "src/auth/authenticator.ts": 2,
  "src/backplane/core": 2.5,
  "src/backplane/memory": 3,
  "src/backplane/redis": 3,
  "src/auth": 3,
  "src/testing": 3,
  "src/tasks": 4,
  "src/server": 4,
  "src/client": 4,
  "src/cli": 5,
  src: 6,
};

const imports = readImports(dirname(import.meta.dirname));

/** The entry of LAYERS that a file belongs to. */
function groupOf(file: string): string {
  let path = file;
  while (!(path in LAYERS)) path = dirname(path);
  return path;
}

function layerOf(file: string): number {
  return LAYERS[groupOf(file)] ?? Number.NaN;
}

test("every folder of src has a layer", () => {
  const strangers = [...imports.keys()].filter(
    (file) => groupOf(file) === "src" && dirname(file) !== "src",
  );
  expect(strangers).toEqual([]);
});

test("imports point only to a lower layer, or stay in their own folder", () => {
  const wrong: string[] = [];
  for (const [file, targets] of imports) {
    for (const { target } of targets) {
      if (groupOf(file) === groupOf(target) || layerOf(target) < layerOf(file)) continue;
      wrong.push(`${file} (${layerOf(file)}) imports ${target} (${layerOf(target)})`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no imports go round in a circle", () => {
  expect(imports.size).toBeGreaterThan(0);
  expect(findCycle(imports)).toBeUndefined();
});

test("a circle of imports would be found, unless only types go round", () => {
  const to = (target: string, typeOnly = false) => ({ target, typeOnly });
  const files = (back: boolean) =>
    new Map([
      ["a", [to("b")]],
      ["b", [to("c"), to("d")]],
      ["d", [to("b", back)]],
    ]);
  expect(findCycle(files(false))).toEqual(["b", "d", "b"]);
  expect(findCycle(files(true))).toBeUndefined();
});

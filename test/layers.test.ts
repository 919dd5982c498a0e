import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { findCycle, readImports } from "./support/imports.ts";

/**
 * The layer of each folder or file of src/; the longest matching path decides. The parts of the server have an
 * order among themselves, from what one connection is to what brings connections in.
 */
const LAYERS: Record<string, number> = {
  "src/protocol": 0,
  "src/meters": 0.5,
  "src/fanout": 1,
  "src/presence/local-presence.ts": 1,
  "src/presence/user-rooms.ts": 1,
  "src/limits": 1,
  "src/events": 1,
  "src/backplane/contract": 2,
  "src/auth/authenticator.ts": 2,
  "src/backplane/core": 2.5,
  "src/backplane/memory": 3,
  "src/backplane/redis": 3,
  "src/auth": 3,
  "src/testing": 3,
  "src/tasks": 4,
  "src/client": 4,
  "src/inbound": 4,
  "src/presence": 4,
  "src/connection": 4.1,
  "src/v1": 4.2,
  "src/durable": 4.2,
  "src/rooms": 4.3,
  "src/server": 4.4,
  "src/upgrade": 4.5,
  "src/metrics": 4.5,
  "src/cli": 5,
  src: 6,
};

const root = dirname(import.meta.dirname);
const imports = readImports(root);

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

test("a circle of imports would be found", () => {
  const to = (target: string) => ({ target, typeOnly: true });
  const files = (...last: string[]) =>
    new Map([
      ["a", [to("b")]],
      ["b", [to("c"), to("d")]],
      ["d", last.map(to)],
    ]);
  expect(findCycle(files("b"))).toEqual(["b", "d", "b"]);
  expect(findCycle(files("c"))).toBeUndefined();
});

test("folders hold about a dozen files, and no file of the server more than 350 lines", () => {
  const server = [...imports.keys()].filter((file) => layerOf(file) >= 4 && layerOf(file) < 5);
  const long = server.filter(
    (file) => readFileSync(join(root, file), "utf8").split("\n").length > 351,
  );
  expect(long).toEqual([]);
  const sizes = new Map<string, number>();
  for (const file of server) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1);
  expect([...sizes].filter(([folder, size]) => folder !== "src/client" && size > 14)).toEqual([]);
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fingerprint } from "../../scripts/lib/fingerprint.mjs";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "roomcast-fingerprint-"));
  mkdirSync(join(root, "src/deep"), { recursive: true });
  writeFileSync(join(root, "src/a.ts"), "a");
  writeFileSync(join(root, "src/deep/b.ts"), "b");
});

afterEach(() => rmSync(root, { recursive: true }));

test("the same files have the same fingerprint, wherever they are", () => {
  const before = fingerprint(root, ["src", "missing.json"]);
  writeFileSync(join(root, "src/a.ts"), "a");
  expect(fingerprint(root, ["src", "missing.json"])).toBe(before);
});

test("a changed, added, renamed or removed file changes the fingerprint", () => {
  const seen = new Set([fingerprint(root, ["src"])]);
  writeFileSync(join(root, "src/deep/b.ts"), "B");
  seen.add(fingerprint(root, ["src"]));
  writeFileSync(join(root, "src/c.ts"), "c");
  seen.add(fingerprint(root, ["src"]));
  rmSync(join(root, "src/c.ts"));
  writeFileSync(join(root, "src/d.ts"), "c");
  seen.add(fingerprint(root, ["src"]));
  rmSync(join(root, "src/d.ts"));
  rmSync(join(root, "src/a.ts"));
  seen.add(fingerprint(root, ["src"]));
  expect(seen.size).toBe(5);
});

import { expect, test } from "vitest";
import { packageComplaint } from "../../scripts/lib/checks.mjs";

const whole = [
  "package.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "dist/index.js",
  "docs/guide.md",
  "examples/quick-start/server.mjs",
];
const packed = (paths: string[]) => JSON.stringify([{ files: paths.map((path) => ({ path })) }]);

test("a package of dist and its papers is in order", () => {
  expect(packageComplaint(packed(whole))).toBeUndefined();
});

test("a file that does not belong into the package is named", () => {
  expect(packageComplaint(packed([...whole, "src/index.ts"]))).toBe(
    "The package holds src/index.ts.",
  );
});

test("a file that the package lacks is named", () => {
  expect(packageComplaint(packed(whole.slice(1, 4)))).toBe(
    "The package lacks package.json, dist/index.js.",
  );
});

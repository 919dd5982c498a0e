import { expect, test } from "vitest";
import { firstStalePackage } from "../../scripts/lib/install.mjs";

const locked = {
  packages: {
    "": { version: "0.1.0" },
    "node_modules/ws": { version: "8.23.0", integrity: "sha512-a" },
    "node_modules/other-platform": { version: "1.0.0", integrity: "sha512-b", optional: true },
  },
};

test("an install that holds everything is kept, optional packages apart", () => {
  const installed = {
    packages: { "node_modules/ws": { version: "8.23.0", integrity: "sha512-a" } },
  };
  expect(firstStalePackage(locked, installed)).toBeUndefined();
});

test("a missing package makes the install stale", () => {
  expect(firstStalePackage(locked, { packages: {} })).toBe("node_modules/ws");
});

test("another version, or another content, makes the install stale", () => {
  for (const ws of [
    { version: "8.22.0", integrity: "sha512-a" },
    { version: "8.23.0", integrity: "sha512-x" },
  ]) {
    expect(firstStalePackage(locked, { packages: { "node_modules/ws": ws } })).toBe(
      "node_modules/ws",
    );
  }
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot, trackedFiles } from "./support/repository.ts";

interface LockedPackage {
  version?: string;
  resolved?: string;
  integrity?: string;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
}

interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const lockfile: Lockfile = JSON.parse(
  readFileSync(join(repositoryRoot, "package-lock.json"), "utf8"),
);

/** Every line of every tracked text file that the pattern matches. */
function linesMatching(pattern: RegExp): string[] {
  return trackedFiles().flatMap((file) => {
    const content = readFileSync(join(repositoryRoot, file), "utf8");
    if (content.includes("\0")) return [];
    return content
      .split("\n")
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [],
      );
  });
}

const packages = Object.entries(lockfile.packages).filter(([path]) => path !== "");

test("the lockfile installs from whichever registry the user has, and checks what it gets", () => {
  expect(packages.length).toBeGreaterThan(0);
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  // Binaries for other platforms than those we develop on are pinned by their version alone.
  const required = packages.filter(([, { optional }]) => !optional);
  expect(required.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
});

test("the lockfile knows every platform, else `npm ci` refuses it on all of them", () => {
  const known = new Set(packages.map(([path]) => path.replace(/^.*node_modules\//, "")));
  const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !known.has(name))
      .map((name) => `${name} of ${path}`),
  );
  expect(missing).toEqual([]);
});

test("dependencies are pinned to exact versions", () => {
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
  const pinned = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(pinned.filter(([, version]) => !/^\d+\.\d+\.\d+(-.+)?$/.test(String(version)))).toEqual(
    [],
  );
});

test("no file names a package registry", () => {
  expect(
    linesMatching(/\b(registry|npm)\.(npmjs|yarnpkg|npmmirror|pkg\.github)\b|\.tgz["']/),
  ).toEqual([]);
});

test("no file names a folder of somebody's machine", () => {
  expect(
    linesMatching(/(^|[\s"'`(=:])(\/home\/(?!node\b)\w|\/Users\/\w|\/root\/|[A-Z]:\\Users)/),
  ).toEqual([]);
});

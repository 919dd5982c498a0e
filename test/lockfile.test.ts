import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot, trackedFiles } from "./support/repository.ts";

interface Lockfile {
  packages: Record<string, { version?: string; resolved?: string; integrity?: string }>;
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

test("the lockfile installs from whichever registry the user has, and checks what it gets", () => {
  const packages = Object.entries(lockfile.packages).filter(([path]) => path !== "");
  expect(packages.length).toBeGreaterThan(0);
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  expect(packages.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
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

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder that holds package.json. */
export const repositoryRoot: string = dirname(dirname(import.meta.dirname));

const GENERATED = new Set(["node_modules", "dist", "coverage", ".git"]);

function walk(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { withFileTypes: true })
    .filter((entry) => !GENERATED.has(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? walk(path) : [path];
    });
}

/** The files under version control; in a copy without git, all that are not generated. */
export function trackedFiles(): string[] {
  if (!existsSync(join(repositoryRoot, ".git"))) return walk("");
  const listed = execFileSync("git", ["ls-files", "-z"], { cwd: repositoryRoot, encoding: "utf8" });
  return listed.split("\0").filter((file) => file && existsSync(join(repositoryRoot, file)));
}

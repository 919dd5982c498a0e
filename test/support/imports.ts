import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Finds `import … from "./x.ts"`, `export … from`, `import "./x.ts"` and `import("./x.ts")`. */
const RELATIVE_IMPORT =
  /\b(?:(?:import|export)\s+(type\b)?[^"';()]*?\bfrom\s*|import\s*\(?\s*)["'](\.[^"']+)["']/g;

export interface Import {
  /** The imported file, relative to the root. */
  readonly target: string;
  /** `import type`, which leaves no trace at run time. */
  readonly typeOnly: boolean;
}

/**
 * Reads which source file imports which.
 *
 * @param root a folder that holds `src`
 * @returns for each file below `src`, the files it imports; paths are relative to the root
 */
export function readImports(root: string): Map<string, Import[]> {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `src/${file.replaceAll("\\", "/")}`)
    .sort();
  return new Map(files.map((file) => [file, importsOf(root, file)]));
}

function importsOf(root: string, file: string): Import[] {
  const imports = readFileSync(join(root, file), "utf8").matchAll(RELATIVE_IMPORT);
  return Array.from(imports, ([, type, specifier = ""]) => {
    const target = join(root, dirname(file), specifier);
    if (!existsSync(target)) throw new Error(`${file} imports ${specifier}, which does not exist`);
    return { target: relative(root, target).replaceAll("\\", "/"), typeOnly: type !== undefined };
  });
}

/** The first chain of imports, those of types too, that comes back to where it started, if there is one. */
export function findCycle(imports: ReadonlyMap<string, readonly Import[]>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    const seenAt = path.indexOf(file);
    if (seenAt >= 0) return [...path.slice(seenAt), file];
    if (finished.has(file)) return undefined;
    for (const { target } of imports.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle) return cycle;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

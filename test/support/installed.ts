import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "./repository.ts";

export interface Installed {
  readonly folder: string;
  /** Runs code as a module there. */
  run(code: string, env?: Record<string, string>): SpawnSyncReturns<string>;
  /** Runs the `roomcast` command. */
  roomcast(args: readonly string[], env?: Record<string, string>): SpawnSyncReturns<string>;
  dispose(): void;
}

/** What the package itself depends on. */
function ownDependencies(): string[] {
  const text = readFileSync(join(repositoryRoot, "package.json"), "utf8");
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(text);
  return Object.keys(dependencies);
}

/** The package as it is in dist/, in an empty folder beside nothing but its dependencies and these. */
export function install(...packages: readonly string[]): Installed {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-installed-"));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "roomcast"), { recursive: true });
  for (const part of ["dist", "package.json"]) {
    cpSync(join(repositoryRoot, part), join(modules, "roomcast", part), { recursive: true });
  }
  for (const name of [...ownDependencies(), ...packages]) {
    symlinkSync(join(repositoryRoot, "node_modules", name), join(modules, name));
  }
  const start = (args: readonly string[], env: Record<string, string>) =>
    spawnSync(process.execPath, [...args], {
      cwd: folder,
      env: { ...process.env, ...env },
      encoding: "utf8",
      timeout: 60_000,
    });
  return {
    folder,
    run: (code, env = {}) => start(["--input-type=module", "-e", code], env),
    roomcast: (args, env = {}) => start([join(modules, "roomcast/dist/cli/main.js"), ...args], env),
    dispose: () => rmSync(folder, { recursive: true }),
  };
}

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ensureTools, findTool } from "../../scripts/lib/system-tools.mjs";

const tool = {
  name: "lamp-server",
  override: "LAMP_BIN",
  commands: ["lamp-server", "lantern-server"],
  packages: { "apt-get": "lamp", dnf: "lamp", brew: "lamp" },
};

let bin: string;
let printed: string;

function writeProgram(name: string, script: string): string {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), "roomcast-tools-"));
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(bin, { recursive: true });
});

test("a tool is found on PATH under any of its names", () => {
  expect(findTool(tool, { PATH: bin })).toBeUndefined();
  const path = writeProgram("lantern-server", "exit 0");
  expect(findTool(tool, { PATH: bin })).toBe(path);
});

test("the environment may name another binary, which has to exist", () => {
  const path = writeProgram("my-lamp", "exit 0");
  expect(findTool(tool, { PATH: "", LAMP_BIN: path })).toBe(path);
  expect(() => findTool(tool, { PATH: bin, LAMP_BIN: "/nowhere/lamp" })).toThrow(
    'LAMP_BIN is "/nowhere/lamp", which is not an executable file.',
  );
});

test("without a package manager a missing tool is named, with the way out", async () => {
  await expect(ensureTools([tool], { PATH: bin })).rejects.toThrow(
    "The tests need lamp-server. Install with: your system's package manager\n" +
      "Or name the binaries: LAMP_BIN.",
  );
});

test("a package manager that fails is quoted, with the exact command to run", async () => {
  writeProgram("apt-get", 'echo "no such package: $*" >&2; exit 100');
  writeProgram("sudo", 'shift; exec "$@"');
  const failure = ensureTools([tool], { PATH: `${bin}:/bin:/usr/bin` });
  await expect(failure).rejects.toThrow("no such package: update");
  await expect(failure).rejects.toThrow(
    /apt-get update && .*apt-get install -y --no-install-recommends lamp\n/,
  );
});

test("a missing tool is installed by the package manager", async () => {
  writeProgram("apt-get", `[ "$1" = update ] || { cp "$0" "${join(bin, "lamp-server")}"; }`);
  writeProgram("sudo", 'shift; exec "$@"');
  const env = { PATH: `${bin}:/bin:/usr/bin` };
  await ensureTools([tool], env);
  expect(findTool(tool, env)).toBe(join(bin, "lamp-server"));
  expect(printed).toContain("✓ install lamp-server (");
});

test("an install that does not bring the tool is not taken for one", async () => {
  writeProgram("apt-get", "exit 0");
  writeProgram("sudo", 'shift; exec "$@"');
  await expect(ensureTools([tool], { PATH: `${bin}:/bin:/usr/bin` })).rejects.toThrow(
    "The tests need lamp-server.",
  );
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { shouldForward } from "../../scripts/lib/supervise.mjs";
import { repositoryRoot } from "../support/repository.ts";

const supervise = pathToFileURL(join(repositoryRoot, "scripts/lib/supervise.mjs")).href;

/** Runs `program` under supervise(), as `npm start` runs the server. */
function start(program: string) {
  const starter = `
    import { supervise } from ${JSON.stringify(supervise)};
    process.exitCode = await supervise(process.execPath, ["-e", ${JSON.stringify(program)}]);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", starter], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { child, lines: createInterface({ input: child.stdout }) };
}

test("the exit code of the server is ours", async () => {
  const { child } = start("process.exit(7)");
  expect(await once(child, "exit")).toEqual([7, null]);
});

test("a server ended by a signal gives the code a shell would", async () => {
  const { child } = start('process.kill(process.pid, "SIGKILL")');
  expect(await once(child, "exit")).toEqual([137, null]);
});

test("a SIGTERM reaches the server once, however often it is repeated at once", async () => {
  const { child, lines } = start(`
    let count = 0;
    process.on("SIGTERM", () => {
      count++;
      setTimeout(() => process.exit(count), 300);
    });
    setInterval(() => {}, 1000);
    console.log("ready");
  `);
  await once(lines, "line");
  child.kill("SIGTERM");
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([1, null]);
});

test("a terminal's Ctrl-C is not doubled, and a second request counts", () => {
  const at = (signal: string, interactive: boolean, now: number, last?: number) =>
    shouldForward({ signal, interactive, now, last });
  expect(at("SIGINT", true, 0)).toBe(false);
  expect(at("SIGINT", false, 0)).toBe(true);
  expect(at("SIGTERM", true, 0)).toBe(true);
  expect(at("SIGTERM", false, 5, 0)).toBe(false);
  expect(at("SIGTERM", false, 5_000, 0)).toBe(true);
});

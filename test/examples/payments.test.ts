import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

test("the example of the page about tasks is shown there as it runs: paid once, though tried twice", async () => {
  const file = join(repositoryRoot, "examples/payments/main.ts");
  const page = await readFile(join(repositoryRoot, "docs/tasks.md"), "utf8");
  expect(page).toContain(await readFile(file, "utf8"));
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: repositoryRoot,
    env: { ...process.env, REDIS_URL: redis.url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  const [code] = await once(child, "close");
  expect(output.text).toBe("Done at attempt 2.\nAlice has paid 1 time: 500 cents.\n");
  expect(code).toBe(0);
});

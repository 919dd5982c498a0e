import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();
let chromium: Chromium;

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

function run(file: string, args: readonly string[], env: Record<string, string>): ProcessOutput {
  const script = join(repositoryRoot, "examples/monitoring", file);
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], {
    cwd: repositoryRoot,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Its workers end with it.
  onDispose(() => end(child, "SIGTERM"));
  return new ProcessOutput(child);
}

test("one page shows all workers, and alerts of a process that has no connections", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const env = { REDIS_URL: redis.url, PORT: "0", WORKERS: "3" };
  const [, url = ""] = await run("main.ts", [], env).match(/(http:\/\/\S+)/);
  const page = await chromium.browser.newPage();
  onDispose(() => page.close());
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await page.getByRole("status").getByText("Live").waitFor();
  const workers = page.locator("#workers tr");
  await expect.poll(() => workers.count()).toBe(3);
  const names = await page.locator("#workers td:first-child").allTextContents();
  expect(new Set(names).size).toBe(3);
  // The page is one connection, on one of them.
  const counts = async (): Promise<number> => {
    const texts = await page.locator("#workers td:nth-child(2)").allTextContents();
    return texts.reduce((sum, text) => sum + Number(text), 0);
  };
  await expect.poll(counts).toBe(1);
  run("publish.ts", ["critical", "The <disk> is full"], env);
  await page.getByText("critical: The <disk> is full").waitFor();
  expect(complaints).toEqual([]);
});

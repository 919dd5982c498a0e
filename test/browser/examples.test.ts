import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();
const runner = join(repositoryRoot, "scripts/example.mjs");
let chromium: Chromium;

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

/** Starts an example as a person does; resolves to where its page is. */
async function startExample(
  name: string,
  env: Record<string, string> = {},
): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [runner, name], {
    cwd: repositoryRoot,
    env: { ...process.env, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGTERM"));
  const [url] = await new ProcessOutput(child).match(/http:\/\/127\.0\.0\.1:\d+/);
  return { url, child };
}

async function open(url: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await chromium.browser.newPage();
  onDispose(() => page.close());
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

test("ticker: prices of the chosen symbols, and no others", async () => {
  const { url } = await startExample("ticker", { EVERY_MS: "20" });
  const { page, complaints } = await open(url);
  const symbols = () => page.locator("#prices td:first-child").allTextContents();
  await expect.poll(async () => (await symbols()).sort()).toEqual(["ACME", "HOOLI"]);
  await expect
    .poll(() => page.locator("#prices tr").first().textContent())
    .toMatch(/\d+\.\d\d-?\d+\.\d\d-?\d+\.\d\d$/);
  await page.getByLabel("GLOBEX").check();
  await page.getByLabel("ACME").uncheck();
  await expect.poll(async () => (await symbols()).sort()).toEqual(["GLOBEX", "HOOLI"]);
  expect(complaints).toEqual([]);
});

test("game: two players on two instances play one game, and rules hold on both", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const env = { REDIS_URL: redis.url };
  const [one, two] = [await startExample("game", env), await startExample("game", env)];
  const alice = await open(`${one.url}/?player=alice`);
  const bob = await open(`${two.url}/?player=bob`);
  await alice.page.getByRole("button", { name: "Create" }).click();
  await expect.poll(() => alice.page.getByLabel("Game").inputValue()).toMatch(/^game_\d{4}$/);
  const game = await alice.page.getByLabel("Game").inputValue();
  const { page } = bob;
  await page.getByLabel("Game").fill("game_0");
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("Game not found").waitFor();
  await page.getByLabel("Game").fill(game);
  await page.getByRole("button", { name: "Join" }).click();
  await alice.page.getByText("In the game: alice, bob").waitFor();
  await page.getByRole("button", { name: "Start" }).click();
  await alice.page.getByText("Your turn").waitFor();
  await page.getByLabel("Cell 5").click();
  await page.getByText("It is not your turn").waitFor();
  const carol = await open(`${one.url}/?player=carol`);
  await carol.page.getByLabel("Game").fill(game);
  await carol.page.getByRole("button", { name: "Join" }).click();
  await carol.page.getByText("Game already in progress").waitFor();
  for (const [player, cell] of [
    [alice, 1],
    [bob, 4],
    [alice, 2],
    [bob, 5],
    [alice, 3],
  ] as const) {
    await player.page.getByText("Your turn").waitFor();
    await player.page.getByLabel(`Cell ${cell}`).click();
  }
  await alice.page.getByText("You have won").waitFor();
  await page.getByText("alice has won").waitFor();
  expect([...alice.complaints, ...bob.complaints]).toEqual([]);
});

test("dashboard: every open page is sent the figures, at once and then again and again", async () => {
  const { url, child } = await startExample("dashboard", { EVERY_MS: "100" });
  const { page } = await open(url);
  await expect.poll(() => page.locator("#connections").textContent()).toBe("1");
  await open(url);
  await expect.poll(() => page.locator("#connections").textContent()).toBe("2");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect((await ended)[0]).toBe(0);
});

test("the runner lists the examples, and each says in its first line what it shows", () => {
  const { stdout, status } = spawnSync(process.execPath, [runner], { encoding: "utf8" });
  expect(status).toBe(0);
  const names = /^Examples: (.*)$/m.exec(stdout)?.[1]?.split(", ") ?? [];
  expect(names.length).toBeGreaterThan(9);
  for (const name of names) {
    const main = readFileSync(join(repositoryRoot, "examples", name, "main.ts"), "utf8");
    expect([name, /^(?:\/\/ |\/\*\*\n)/.test(main)]).toEqual([name, true]);
    const files = readdirSync(join(repositoryRoot, "examples", name));
    const lines = files.map(
      (file) =>
        readFileSync(join(repositoryRoot, "examples", name, file), "utf8").split("\n").length,
    );
    expect(lines.reduce((sum, one) => sum + one, 0)).toBeLessThan(400);
  }
  expect(spawnSync(process.execPath, [runner, "none"], { encoding: "utf8" }).status).toBe(1);
});

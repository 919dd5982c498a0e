import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();
let chromium: Chromium;

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

/** The example, as a process of its own. */
async function startExample() {
  const child = fork(join(repositoryRoot, "examples/react/main.ts"), [], {
    cwd: repositoryRoot,
    execArgv: ["--import", "tsx"],
    env: { ...process.env, PORT: "0" },
    silent: true,
  });
  onDispose(() => child.kill("SIGKILL"));
  let text = "";
  child.stderr?.on("data", (bytes) => {
    text += bytes;
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (bytes) => {
      const [found] = /http:\S+:\d+/.exec(String(bytes)) ?? [];
      if (found) resolve(found);
    });
    child.once("exit", () => reject(new Error(text)));
  });
  return {
    url,
    async connections(): Promise<number> {
      child.send("count");
      const [answer] = await once(child, "message");
      return answer.connections;
    },
    lose: () => child.send("lose"),
  };
}

async function open(url: string, name: string): Promise<{ page: Page; sockets: string[] }> {
  const page = await chromium.browser.newPage();
  onDispose(() => page.close());
  const sockets: string[] = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  page.on("pageerror", (error) => sockets.push(String(error)));
  await page.goto(`${url}/?name=${name}`);
  await page.getByRole("status").filter({ hasText: "open" }).waitFor();
  return { page, sockets };
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

test("in strict mode there is one socket, rooms change, and nothing is missed over a reconnect", async () => {
  const example = await startExample();
  const alice = await open(example.url, "alice");
  const bob = await open(example.url, "bob");
  expect([alice.sockets.length, bob.sockets.length]).toEqual([1, 1]);
  expect(await example.connections()).toBe(2);

  await say(alice.page, "hello");
  await bob.page.getByText("alice: hello").waitFor();
  await bob.page.getByLabel("Room").selectOption("kitchen");
  await expect.poll(() => bob.page.getByRole("listitem").count()).toBe(0);
  await say(bob.page, "dinner");
  await bob.page.getByText("bob: dinner").waitFor();
  expect(await alice.page.getByText("bob: dinner").count()).toBe(0);
  await bob.page.getByLabel("Room").selectOption("lobby");
  await say(bob.page, "back");
  await alice.page.getByText("bob: back").waitFor();

  example.lose();
  await say(bob.page, "one");
  await say(alice.page, "two");
  for (const { page, sockets } of [alice, bob]) {
    await page.getByText("bob: one").waitFor();
    await page.getByText("alice: two").waitFor();
    expect(await page.getByText("bob: one").count()).toBe(1);
    expect(sockets).toHaveLength(2);
  }
  await expect.poll(example.connections).toBe(2);
});

test("a component that goes closes its socket", async () => {
  const example = await startExample();
  const alice = await open(example.url, "alice");
  expect(await example.connections()).toBe(1);
  await alice.page.getByRole("button", { name: "Leave" }).click();
  await alice.page.getByText("Goodbye.").waitFor();
  await expect.poll(example.connections).toBe(0);
});

import { once } from "node:events";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();
let chromium: Chromium;

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

/** A page, and what its console complained about, broken rules of the content security policy included. */
async function open(url: string, options?: BrowserContextOptions) {
  const context = await chromium.browser.newContext(options);
  onDispose(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}

async function startTwo(): Promise<{ redis: RedisServer; one: ServeProcess; two: ServeProcess }> {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const env = { REDIS_URL: redis.url };
  const [one, two] = [await startServe({ env }), await startServe({ env })];
  for (const server of [one, two]) onDispose(server.dispose);
  return { redis, one, two };
}

/** Somebody in the room `lobby`. */
async function join(server: ServeProcess, user: string): Promise<Client> {
  const client = await Client.connect(`${server.wsUrl}/ws?user=${user}`);
  onDispose(() => client.socket.terminate());
  client.socket.send(JSON.stringify({ type: "join", room: "lobby" }));
  await client.nextOfType("joined");
  return client;
}

function rowsOf(page: Page, table: string): Promise<string[]> {
  return page
    .getByRole("region", { name: table, exact: true })
    .locator("tbody tr")
    .allTextContents();
}

test("shows both instances, who is hot, who is where, and sends people away", async () => {
  const { one, two } = await startTwo();
  const alice = await join(one, "alice");
  const bob = await join(two, "bob");
  const { page, complaints } = await open(`${one.url}/dashboard`);
  await page.getByText("All is well on 2 instances.").waitFor();
  for (let i = 0; i < 20; i++) {
    alice.socket.send(JSON.stringify({ type: "room_message", room: "lobby", data: i }));
  }
  await expect
    .poll(() => rowsOf(page, "Hottest rooms"))
    .toEqual([expect.stringMatching(/^lobby\d+$/)]);
  await expect
    .poll(() => rowsOf(page, "Busiest users").then(([first]) => first))
    .toMatch(/^alice2\d$/);
  // Two of the users of the page are people; operators are nobody's connections.
  await expect.poll(() => page.locator(".figure dd").first().textContent()).toBe("2");
  await expect.poll(() => page.locator(".chart canvas").count()).toBe(9);

  await page.getByLabel("What to look up").selectOption("room");
  await page.getByLabel("Name").fill("lobby");
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByText("2 in lobby: alice, bob").waitFor();
  await page.getByLabel("What to look up").selectOption("user");
  await page.getByLabel("Name").fill("bob");
  await page.keyboard.press("Enter");
  await page.getByText(/^bob is on .* since /).waitFor();
  const ended = once(bob.socket, "close");
  await page.getByRole("button", { name: "Disconnect bob" }).click();
  await page.getByText("bob was disconnected everywhere.").waitFor();
  await ended;
  await page.getByLabel("Text").fill("<b>Hello</b>");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("Sent, as far as: cluster.").waitFor();
  for (;;) {
    const message = await alice.nextOfType("message");
    if (message.from === "operator") {
      expect(message.data).toBe("<b>Hello</b>");
      break;
    }
  }
  expect(complaints).toEqual([]);
});

test("tells of an instance that is gone, and of Redis that is away", async () => {
  const { redis, one, two } = await startTwo();
  const { page } = await open(`${one.url}/dashboard`);
  await page.getByText("All is well on 2 instances.").waitFor();
  await two.dispose();
  await page.getByText("1 instance did not answer for some seconds.").waitFor();
  expect(
    (await rowsOf(page, "Instances")).filter((row) => /no answer for \d+ s/.test(row)),
  ).toHaveLength(1);
  redis.stop();
  await page.getByText(/1 instance cannot reach Redis\. Others may be missing/).waitFor();
  redis.cont();
  await page.getByText(/cannot reach Redis/).waitFor({ state: "hidden" });
});

test("asks for the key where the server has one, and keeps it for the tab", async () => {
  const server = await startServe({ env: { ROOMCAST_API_KEY: "an-operators-key" } });
  onDispose(server.dispose);
  const { page } = await open(`${server.url}/dashboard`);
  const key = page.getByLabel("API key");
  await key.fill("wrong");
  await page.getByRole("button", { name: "Open the dashboard" }).click();
  await page.getByText("That is not the key of this server.").waitFor();
  await key.fill("an-operators-key");
  await page.keyboard.press("Enter");
  await page.getByText("All is well on 1 instance.").waitFor();
  await page.reload();
  await page.getByText("All is well on 1 instance.").waitFor();
  const socket = Client.connect(`${server.wsUrl}/dashboard/ws`);
  await expect(socket).rejects.toThrow("401");
});

test("is closed where a server is set up for others and has no key, and says how to open it", async () => {
  const server = await startServe({ env: { JWT_SECRET: "a secret of at least thirty-two bytes" } });
  onDispose(server.dispose);
  const { page } = await open(`${server.url}/dashboard`);
  await page.getByText("Start it with ROOMCAST_API_KEY.").waitFor();
  await expect(Client.connect(`${server.wsUrl}/dashboard/ws`)).rejects.toThrow("401");
});

test("fits a phone: nothing is wider than the screen", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const { page } = await open(`${server.url}/dashboard`, {
    viewport: { width: 360, height: 740 },
    colorScheme: "dark",
  });
  await page.getByText("All is well on 1 instance.").waitFor();
  await expect.poll(() => page.locator(".chart canvas").count()).toBe(9);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
});

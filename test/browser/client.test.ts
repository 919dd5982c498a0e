import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { behaviours, queueBehaviours, roomBehaviours } from "../client/all-behaviours.ts";
import type { Servers } from "../client/server.ts";
import { type ClientPage, openClientPage } from "./client-page.ts";

let place: ClientPage;
let servers: Servers;
let page: Page;

beforeAll(async () => {
  place = await openClientPage();
  ({ servers, page } = place);
});

afterAll(() => place.dispose());

test.each(Object.keys({ ...behaviours, ...roomBehaviours, ...queueBehaviours }))(
  "in Chromium: %s",
  async (name) => {
    const { url, echoUrl, deadUrl } = servers;
    await page.evaluate(
      ([name, urls]) =>
        (window as unknown as { run(name: string, urls: object): Promise<void> }).run(name, urls),
      [name, { url, echoUrl, deadUrl }] as const,
    );
  },
);

test("in Chromium: headers, which a page cannot set, are refused", async () => {
  const message = await page.evaluate((url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    try {
      return String(new WebSocketClient(url, { headers: { a: "b" } }));
    } catch (error) {
      return String(error);
    }
  }, servers.url);
  expect(message).toContain("TypeError");
});

test("in Chromium: coming online is a reason to try at once", async () => {
  const context = page.context();
  const opened = page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    // By itself it would come back in an hour.
    const hour = 3_600_000;
    const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
    const client = new WebSocketClient(`${url}?user=online`, { config });
    await client.connect();
    const told = new Promise((resolve) => {
      client.on("reconnecting", ({ delayMs }) => {
        const open = new Promise((opened) => client.on("open", opened));
        (window as unknown as { lost: boolean }).lost = true;
        resolve(open.then(() => delayMs));
      });
    });
    (window as unknown as { ready: boolean }).ready = true;
    return told;
  }, servers.url);
  await page.waitForFunction(() => "ready" in window);
  await context.setOffline(true);
  await servers.network("cut");
  await page.waitForFunction(() => "lost" in window);
  await servers.network("restore");
  await context.setOffline(false);
  expect(await opened).toBeNull();
});

/** What the document says of itself, and says that it has changed. Chromium without a window hides no page. */
function show(state: "hidden" | "visible"): Promise<void> {
  return page.evaluate((now) => {
    Object.defineProperty(document, "hidden", { value: now === "hidden", configurable: true });
    // HTML section 6.1: it is fired at the document, and bubbles.
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, state);
}

test("in Chromium: coming into sight is a reason to try at once, going out of it is not", async () => {
  await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    const hour = 3_600_000;
    const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
    const client = new WebSocketClient(`${url}?user=hidden`, { config });
    await client.connect();
    const away = new Promise((resolve) => client.on("reconnecting", resolve));
    await client.send("close 4000");
    await away;
    Object.assign(window, { client });
  }, servers.url);
  const state = () =>
    page.evaluate(
      () =>
        (window as unknown as { client: import("../../src/client.ts").BaseClient }).client.state,
    );
  await show("hidden");
  expect(await state()).toBe("reconnecting");
  await show("visible");
  await expect.poll(state).toBe("open");
});

test("in Chromium: coming into sight looks after the connection, which may have died meanwhile", async () => {
  await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    // By itself it would look in an hour.
    const config = { pingIntervalMs: 3_600_000, pingTimeoutMs: 300, reconnectEnabled: false };
    const client = new WebSocketClient(`${url}?user=frozen`, {
      config,
      subprotocols: ["roomcast.v1"],
    });
    const ended = new Promise((resolve) => client.on("close", resolve));
    await client.connect();
    while (client.latency === null) await new Promise((resolve) => setTimeout(resolve, 10));
    Object.assign(window, { ended });
  }, servers.url);
  await servers.network("blackHole");
  await show("visible");
  expect(await page.evaluate(() => (window as unknown as { ended: unknown }).ended)).toEqual({
    code: 1006,
    reason: "",
  });
  await servers.network("restore");
});

test("in Chromium: what is sent while the connection closes is refused, not dropped", async () => {
  const codes = await page.evaluate(async (url) => {
    const { WebSocketClient, ConnectionClosedError } = (
      window as unknown as { api: typeof import("../../src/client.ts") }
    ).api;
    const client = new WebSocketClient(url);
    await client.connect();
    const closing = client.close(3001);
    const error = await client.send("too late").catch((error: unknown) => error);
    await closing;
    const later = await client.send("too late").catch((error: unknown) => error);
    return [error, later].map((each) => each instanceof ConnectionClosedError && each.closeCode);
  }, servers.echoUrl);
  expect(codes).toEqual([1006, 3001]);
});

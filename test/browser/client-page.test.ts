import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Servers } from "../client/server.ts";
import { startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { type ClientPage, openClientPage } from "./client-page.ts";

const onDispose = useDisposals();
let place: ClientPage;
let servers: Servers;
let page: Page;

beforeAll(async () => {
  place = await openClientPage();
  ({ servers, page } = place);
});

afterAll(() => place.dispose());

type Api = typeof import("../../src/client.ts");
type PageWindow = { readonly api: Api };

function hide(hidden: boolean): Promise<void> {
  return page.evaluate((now) => {
    Object.defineProperty(document, "hidden", { value: now, configurable: true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, hidden);
}

test("in Chromium: a page that nobody sees comes back with the network too", async () => {
  await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    // By itself it would come back in an hour.
    const hour = 3_600_000;
    const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
    const client = new WebSocketClient(`${url}?user=hidden`, { config });
    await client.connect();
    Object.assign(window, { client, states: [client.state] });
    client.on("reconnecting", () => Object.assign(window, { away: true }));
  }, servers.url);
  const state = () =>
    page.evaluate(() => (window as unknown as { client: { state: string } }).client.state);
  await hide(true);
  await page.context().setOffline(true);
  await servers.network("cut");
  await page.waitForFunction(() => "away" in window);
  await servers.network("restore");
  expect(await state()).toBe("reconnecting");
  await page.context().setOffline(false);
  await expect.poll(state).toBe("open");
  await hide(false);
});

test("in Chromium: a connection that died unseen is left soon after the page is seen, not a ping timeout later", async () => {
  await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    const client = new WebSocketClient(`${url}?user=died`, {
      // An hour each: by itself it would never notice.
      config: { pingIntervalMs: 3_600_000, pingTimeoutMs: 3_600_000, reconnectEnabled: false },
      subprotocols: ["roomcast.v1"],
    });
    const died = new Promise((resolve) => client.on("close", ({ code }) => resolve(code)));
    await client.connect();
    while (client.latency === null) await new Promise((resolve) => setTimeout(resolve, 10));
    Object.assign(window, { died });
  }, servers.url);
  await servers.network("blackHole");
  await hide(true);
  await hide(false);
  const died = await page.evaluate(() => (window as unknown as { died: Promise<number> }).died);
  expect(died).toBe(1006);
  await servers.network("restore");
});

test("in Chromium: a handshake that hangs is begun anew when there is another network", async () => {
  const mute = await startBadServer(() => {});
  onDispose(mute.dispose);
  await page.evaluate((url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    const client = new WebSocketClient(url, { config: { openTimeoutMs: 3_600_000 } });
    client.connect().catch(() => {});
    Object.assign(window, { hanging: client });
  }, mute.url);
  await expect.poll(() => mute.requests.length).toBe(1);
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await expect.poll(() => mute.requests.length).toBe(2);
  await page.evaluate(() =>
    (window as unknown as { hanging: { close(): Promise<void> } }).hanging.close(),
  );
});

test.each(["c2VjcmV0/+==", "se cret", "sécret"])(
  "in Chromium: a token that cannot be sent, such as %j, is said to be that, and shown nowhere",
  async (token) => {
    const said = await page.evaluate(
      async ([url, token]) => {
        const { WebSocketClient, ConnectionFailedError } = (window as unknown as PageWindow).api;
        const client = new WebSocketClient(url, { token });
        const error = await client.connect().catch((error: unknown) => error);
        if (!(error instanceof ConnectionFailedError)) return String(error);
        return [error.message, error.stack, error.cause, JSON.stringify(error)].join(" ");
      },
      [servers.url, token] as const,
    );
    expect(said).toContain("base64url");
    expect(said).not.toContain(token);
  },
);

test("in Chromium: a token goes out on the connection it was fetched for, and one that is none on none", async () => {
  const auths: string[] = [];
  const server = await startSocketServer((socket, number) => {
    socket.on("message", (data) => {
      const { type, token, id } = JSON.parse(String(data));
      if (type === "auth") auths.push(`${number} ${token}`);
      if (id !== undefined) socket.send(JSON.stringify({ type: "ack", id }));
      if (type !== "resume") return;
      socket.send('{"type":"refresh","in_ms":1000}');
      if (number === 1) socket.close(4000);
    });
  });
  onDispose(server.dispose);
  const calls = await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    let late = (_token: string): void => {};
    let calls = 0;
    const tokens = [
      () => "first",
      () => new Promise<string>((resolve) => Object.assign(window, { late: resolve })),
      () => "second",
      () => null,
    ];
    const client = new WebSocketClient(url, {
      subprotocols: ["roomcast.v1"],
      config: { reconnectBackoffBaseMs: 0 },
      token: () => tokens[calls++]?.() ?? null,
    });
    const reopened = new Promise<void>((resolve) => {
      client.on("open", ({ reconnected }) => reconnected && resolve());
    });
    await client.connect();
    await reopened;
    late = (window as unknown as { late: typeof late }).late;
    late("late");
    while (calls < 4) await new Promise((resolve) => setTimeout(resolve, 10));
    await client.request("shows that whatever was sent has come");
    await client.close();
    return calls;
  }, server.url);
  expect([calls, auths]).toEqual([4, []]);
});

test("in Chromium: a subprotocol that is none is refused without showing the token", async () => {
  const said = await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    const client = new WebSocketClient(url, { token: "secret", subprotocols: ["a b"] });
    const error = await client.connect().catch((error: unknown) => error as Error);
    return [error?.name, error?.message, error?.stack, error?.cause].join(" ");
  }, servers.url);
  expect(said).toMatch(/ConnectionFailedError.*SyntaxError/);
  expect(said).not.toContain("secret");
});

test("in Chromium: the client comes back without end by default, in Node.js five times", async () => {
  const inPages = await page.evaluate((url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    const own = { config: { reconnectMaxAttempts: 3 } };
    return [new WebSocketClient(url), new WebSocketClient(url, own)].map(
      ({ config }) => config.reconnectMaxAttempts,
    );
  }, servers.url);
  expect(inPages).toEqual([0, 3]);
  const { WebSocketClient } = await import("../../src/client.ts");
  expect(new WebSocketClient(servers.url).config.reconnectMaxAttempts).toBe(5);
});

/** Connects to a server that sends so many messages at once, and reads none until all have come. */
async function flood(count: number, whenUnread: "latest" | "close", maxUnreadBytes: number) {
  const server = await startSocketServer((socket) => {
    socket.on("message", (bytes) => {
      const { type } = JSON.parse(String(bytes));
      if (type !== "message") return;
      const joined = { type: "joined", room: "lobby", recovered: null, position: "0" };
      socket.send(JSON.stringify(joined));
      for (let i = 1; i <= count; i++) {
        const link = { room: "lobby", id: String(i), prev: String(i - 1) };
        socket.send(JSON.stringify({ type: "message", ...link, data: String(i) }));
      }
      socket.send('{"type":"error","code":"all","message":"have come"}');
    });
  });
  onDispose(server.dispose);
  return page.evaluate(
    async ([url, count, whenUnread, maxUnreadBytes]) => {
      const { WebSocketClient } = (window as unknown as PageWindow).api;
      const client = new WebSocketClient(url, {
        subprotocols: ["roomcast.v1"],
        whenUnread,
        maxUnreadBytes,
      });
      const events: string[] = [];
      client.on("overflow", () => events.push("overflow"));
      client.on("gap", ({ room }) => events.push(`gap ${room}`));
      client.on("close", ({ code, reason }) => events.push(`close ${code} ${reason}`));
      const all = new Promise<void>((resolve) => {
        client.on("error", ({ message }) => message === "have come" && resolve());
        client.on("close", () => resolve());
      });
      await client.connect();
      await client.send("begin");
      await all;
      // Only now somebody reads.
      const read: string[] = [];
      const failure = await (async () => {
        for await (const message of client) {
          read.push(String(message));
          if (message === String(count)) break;
        }
        return null;
      })().catch((error: Error) => error.name);
      const told = [...events];
      await client.close();
      return { events: told, first: read[0], last: read.at(-1), count: read.length, failure };
    },
    [server.url, count, whenUnread, maxUnreadBytes] as const,
  );
}

test("in Chromium: of more than may be unread the latest are kept, and what is lost is a gap", async () => {
  const { events, count, first, last, failure } = await flood(1000, "latest", 10_000);
  expect(events).toEqual(["gap lobby", "overflow"]);
  expect([last, failure]).toEqual(["1000", null]);
  expect(count).toBeLessThan(200);
  expect(Number(first)).toBe(1000 - count + 1);
});

test("in Chromium: more than may be unread closes the client, where that was chosen", async () => {
  const { events, count, first, last, failure } = await flood(1000, "close", 10_000);
  expect(events).toEqual(["overflow", "close 4413 too many messages are unread"]);
  expect([first, last, failure]).toEqual(["1", String(count), "ConnectionClosedError"]);
  expect(count).toBeLessThan(200);
});

test("in Chromium: 100,000 messages that waited are all read", async () => {
  const { events, count, failure } = await flood(100_000, "latest", 100_000_000);
  expect([events, count, failure]).toEqual([[], 100_000, null]);
});

test("in Chromium: a page answers what the server asks it", async () => {
  const server = await startManager({ router: { allowedOrigins: ["*"] } });
  onDispose(server.dispose);
  await page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as PageWindow).api;
    const client = new WebSocketClient(url, {
      subprotocols: ["roomcast.v1"],
      onRequest: async (data) => ({ asked: data, title: document.title }),
    });
    await client.connect();
    Object.assign(window, { asked: client });
  }, `${server.url}/anonymous`);
  const [connection] = server.manager.connections();
  expect(await connection?.request({ question: 1 })).toEqual({
    asked: { question: 1 },
    title: await page.title(),
  });
  await page.evaluate(() => (window as unknown as { asked: { close(): unknown } }).asked.close());
});

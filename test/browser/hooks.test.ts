import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { build } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startBadServer } from "../support/bad-server.ts";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startSocketServer } from "../support/socket-server.ts";
import type { Shown } from "./hooks-page.ts";

const onDispose = useDisposals();
let chromium: Chromium;
let script: string;

beforeAll(async () => {
  chromium = await launchChromium();
  const bundle = await build({
    input: join(repositoryRoot, "test/browser/hooks-page.ts"),
    platform: "browser",
    write: false,
  });
  script = bundle.output[0].code;
});

afterAll(() => chromium.dispose());

/** A page whose clock stands still until it is told, and how many sockets it has made. */
async function open(): Promise<{
  page: Page;
  sockets(): Promise<number>;
  show(shown: Shown | null): Promise<void>;
}> {
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    const html =
      '<!doctype html><title>hooks</title><body></body><script type="module" src="/page.js"></script>';
    response.end(isScript ? script : html);
  });
  onDispose(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const page = await chromium.browser.newPage();
  onDispose(() => page.close());
  await page.addInitScript(() => {
    const counted = Object.assign(globalThis, { sockets: 0 });
    const Native = globalThis.WebSocket;
    const WebSocket = class extends Native {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        counted.sockets++;
      }
    };
    Object.assign(globalThis, { WebSocket });
  });
  await page.clock.install();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => "show" in window);
  await page.clock.pauseAt(Date.now() + 60_000);
  return {
    page,
    sockets: () => page.evaluate(() => (globalThis as unknown as { sockets: number }).sockets),
    show: (shown) =>
      page.evaluate(
        (what) => (window as unknown as { show(what: Shown | null): void }).show(what),
        shown,
      ),
  };
}

test("a component that goes while its client connects takes the client with it", async () => {
  const mute = await startBadServer(() => {});
  onDispose(mute.dispose);
  const { page, sockets, show } = await open();
  await show({ url: mute.url, room: "lobby" });
  await expect.poll(() => mute.requests.length).toBe(1);
  await show(null);
  // The client is closed a moment later; a first attempt that failed would be made again after two seconds.
  await page.clock.runFor(1);
  await page.clock.runFor(60_000);
  expect(await sockets()).toBe(1);
});

test("a room that is left while the client is away is left when it is back", async () => {
  const asked: string[][] = [];
  const server = await startSocketServer((socket) => {
    const here: string[] = [];
    asked.push(here);
    socket.on("message", (bytes) => {
      const { type, rooms, data } = JSON.parse(String(bytes));
      if (type === "resume") here.push(`resume ${Object.keys(rooms)}`);
      if (type !== "message") return;
      here.push(`${data.type} ${data.room}`);
      const joined = { type: "joined", room: data.room, recovered: null, position: "1" };
      if (data.type === "join") socket.send(JSON.stringify(joined));
      if (data.type === "join" && asked.length === 1) socket.close(4000);
    });
  });
  onDispose(server.dispose);
  const { page, show } = await open();
  await show({ url: server.url, room: "lobby" });
  await page.getByText("reconnecting").waitFor();
  await show({ url: server.url, room: "kitchen" });
  await page.clock.runFor(3_600_000);
  await expect.poll(() => asked[1]).toContain("join kitchen");
  expect(asked).toEqual([
    ["resume ", "join lobby"],
    ["resume lobby", "leave lobby", "join kitchen"],
  ]);
});

test("as many messages are kept as are wanted, also none", async () => {
  const server = await startSocketServer((socket) => {
    for (const data of ["1", "2", "3"]) {
      socket.send(JSON.stringify({ type: "message", room: "lobby", data }));
    }
    // Shows that they have come.
    socket.send('{"type":"gap","room":"lobby"}');
  });
  onDispose(server.dispose);
  const { page, show } = await open();
  for (const [limit, kept] of [
    [2, "2 3"],
    [0, ""],
  ] as const) {
    await show({ url: `${server.url}/?${limit}`, room: "lobby", options: { limit } });
    await expect.poll(() => page.textContent("body")).toBe(`open: ${kept} (1 gaps)`);
  }
});

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { build } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { accepted, startBadServer } from "../support/bad-server.ts";
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
  /** What the page has written down. */
  read<T>(name: "commits" | "lies" | "times"): Promise<T[]>;
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
    const counted = Object.assign(globalThis, { sockets: 0, times: [] as number[] });
    const Native = globalThis.WebSocket;
    const WebSocket = class extends Native {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        counted.sockets++;
        counted.times.push(performance.now());
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
    read: (name) =>
      page.evaluate((name) => (globalThis as unknown as Record<string, never[]>)[name] ?? [], name),
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
  await show({ url: mute.url, rooms: ["lobby"] });
  await expect.poll(() => mute.requests.length).toBe(1);
  await show(null);
  // The client is closed a moment later; a first attempt that failed would be made again after two seconds.
  await page.clock.runFor(1);
  await page.clock.runFor(60_000);
  expect(await sockets()).toBe(1);
});

/** A server of rooms as clients see it: what they ask for, in order, and frames to all of them. */
async function startRooms() {
  const asked: string[][] = [];
  const sockets = new Set<WebSocket>();
  const server = await startSocketServer((socket) => {
    const here: string[] = [];
    asked.push(here);
    sockets.add(socket);
    socket.on("message", (bytes) => {
      const { type, room, rooms } = JSON.parse(String(bytes));
      if (type === "resume") here.push(`resume ${Object.keys(rooms)}`);
      if (type === "join" || type === "leave") here.push(`${type} ${room}`);
      for (const joined of type === "resume" ? Object.keys(rooms) : type === "join" ? [room] : []) {
        socket.send(
          JSON.stringify({ type: "joined", room: joined, recovered: null, position: "1" }),
        );
      }
    });
    socket.on("close", () => sockets.delete(socket));
  });
  onDispose(server.dispose);
  return {
    url: server.url,
    asked,
    tell: (frame: object) => {
      for (const socket of sockets) socket.send(JSON.stringify(frame));
    },
    lose: () => {
      for (const socket of sockets) socket.close(4000);
    },
  };
}

const said = (room: string, data: string) => ({ type: "message", room, data });

test("a room that is left while the client is away is not joined when it is back", async () => {
  const rooms = await startRooms();
  const { page, show } = await open();
  await show({ url: rooms.url, rooms: ["lobby"] });
  await expect.poll(() => rooms.asked).toEqual([["resume lobby"]]);
  rooms.lose();
  await page.getByText("reconnecting").waitFor();
  await show({ url: rooms.url, rooms: ["kitchen"] });
  await page.clock.runFor(3_600_000);
  await expect.poll(() => rooms.asked).toEqual([["resume lobby"], ["resume kitchen"]]);
});

test("two components in one room: when one goes, the other goes on", async () => {
  const rooms = await startRooms();
  const { page, show } = await open();
  await show({ url: rooms.url, rooms: ["lobby", "lobby"] });
  await expect.poll(() => rooms.asked).toEqual([["resume lobby"]]);
  rooms.tell(said("lobby", "both"));
  await expect.poll(() => page.textContent("body")).toBe("open: both (0 gaps)".repeat(2));
  await show({ url: rooms.url, rooms: ["lobby"] });
  rooms.tell(said("lobby", "one"));
  await expect.poll(() => page.textContent("body")).toBe("open: both one (0 gaps)");
  await show({ url: rooms.url, rooms: [] });
  await expect.poll(() => rooms.asked).toEqual([["resume lobby", "leave lobby"]]);
});

test("another room begins empty, and at no time shows what was said in the one before", async () => {
  const rooms = await startRooms();
  const { page, show, read } = await open();
  await show({ url: rooms.url, rooms: ["lobby"] });
  await expect.poll(() => rooms.asked.length).toBe(1);
  rooms.tell(said("lobby", "secret"));
  await page.getByText("secret").waitFor();
  await show({ url: rooms.url, rooms: ["kitchen"] });
  rooms.tell(said("kitchen", "dinner"));
  await page.getByText("dinner").waitFor();
  const kitchen = (await read<string>("commits")).filter((text) => text.startsWith("kitchen"));
  expect(kitchen.length).toBeGreaterThan(0);
  expect(kitchen.filter((text) => text.includes("secret"))).toEqual([]);
});

test("another limit keeps what there is, and neither leaves nor joins", async () => {
  const rooms = await startRooms();
  const { page, show } = await open();
  const shown = { url: rooms.url, rooms: ["lobby"] };
  await show({ ...shown, options: { limit: 3 } });
  await expect.poll(() => rooms.asked.length).toBe(1);
  for (const data of ["1", "2", "3", "4"]) rooms.tell(said("lobby", data));
  await expect.poll(() => page.textContent("body")).toBe("open: 2 3 4 (0 gaps)");
  for (const [limit, kept] of [
    [2, "3 4"],
    [0, ""],
    [5, "2 3 4"],
  ] as const) {
    await show({ ...shown, options: { limit } });
    await expect.poll(() => page.textContent("body")).toBe(`open: ${kept} (0 gaps)`);
  }
  rooms.tell(said("lobby", "5"));
  await expect.poll(() => page.textContent("body")).toBe("open: 2 3 4 5 (0 gaps)");
  expect(rooms.asked).toEqual([["resume lobby"]]);
});

test("what a server refuses is no error of the connection, and one that was goes when it is back", async () => {
  const rooms = await startRooms();
  const { page, show } = await open();
  await show({ url: rooms.url, rooms: ["lobby"] });
  await expect.poll(() => rooms.asked.length).toBe(1);
  rooms.tell({ type: "error", code: "forbidden", message: "refused" });
  rooms.tell(said("lobby", "after"));
  await page.getByText("after").waitFor();
  expect(await page.locator("b").count()).toBe(0);

  const mute = await startBadServer((socket) => socket.destroy());
  onDispose(mute.dispose);
  await show({ url: mute.url, rooms: ["lobby"] });
  await page.locator("b").waitFor();
  await show({ url: `${rooms.url}/again`, rooms: ["lobby"] });
  await expect.poll(() => page.textContent("body")).toBe("open:  (0 gaps)");
});

test("for another URL no component is told that the new client is open before it is", async () => {
  const rooms = await startRooms();
  const { page, show, read } = await open();
  for (const path of ["/1", "/2", "/3"]) {
    await show({ url: `${rooms.url}${path}`, rooms: ["lobby"] });
    await page.getByText("open:").waitFor();
  }
  expect(await read("lies")).toEqual([]);
});

test("components whose first attempts fail together do not try again together, and never give up", async () => {
  const refusing = await startBadServer((socket) => socket.destroy());
  onDispose(refusing.dispose);
  const { page, show, sockets, read } = await open();
  const clients = 30;
  await show({ url: refusing.url, rooms: [], clients, defaults: true });
  // Five attempts and more, by each of them.
  for (let round = 1; (await sockets()) < clients * 8; round++) {
    expect(round).toBeLessThan(500);
    await page.clock.runFor(1000);
  }
  const again = (await read<number>("times")).slice(clients, 2 * clients);
  expect(new Set(again.map((at) => Math.round(at))).size).toBeGreaterThan(clients / 2);
});

test("a component that is connected comes back, however many attempts were lost", async () => {
  let isDown = false;
  const server = await startBadServer((socket, key) => {
    if (isDown) socket.destroy();
    else socket.write(accepted(key, "Sec-WebSocket-Protocol: roomcast.v1\r\n"));
    sockets.add(socket);
  });
  const sockets = new Set<Socket>();
  onDispose(server.dispose);
  const { page, show } = await open();
  await show({ url: server.url, rooms: ["lobby"], defaults: true });
  await page.getByText("open:").waitFor();
  isDown = true;
  for (const socket of sockets) socket.destroy();
  // Chromium makes those wait that fail often, by a clock of its own.
  const patience = { timeout: 60_000 };
  const attempted = async (): Promise<number> => {
    await page.clock.runFor(5000);
    return server.requests.length;
  };
  await expect.poll(attempted, patience).toBeGreaterThan(8);
  isDown = false;
  await attempted();
  const opened = async (): Promise<number> => {
    await page.clock.runFor(5000);
    return page.getByText("open:").count();
  };
  await expect.poll(opened, patience).toBe(1);
});

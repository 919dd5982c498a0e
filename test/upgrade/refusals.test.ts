import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Logger } from "../../src/index.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { handshake, RawClient } from "../support/raw-handshake.ts";

const onDispose = useDisposals();

/** What goes to the console while a test runs. */
const warned: string[] = [];
const { warn } = console;
beforeEach(() => {
  warned.length = 0;
  console.warn = (line: string) => void warned.push(line);
});
afterEach(() => {
  console.warn = warn;
});

async function start(...args: Parameters<typeof startManager>): Promise<ManagerServer> {
  const server = await startManager(...args);
  onDispose(server.dispose);
  return server;
}

/** The status that a page of this origin gets. */
async function statusFor(
  { url }: ManagerServer,
  headers: Record<string, string>,
  path = "/anonymous",
): Promise<number | undefined> {
  const { port, host } = new URL(url);
  const client = await RawClient.connect(Number(port));
  onDispose(() => client.dispose());
  client.write(handshake(path, { Host: host, ...headers }));
  return (await client.answer())?.status;
}

describe("the first refusal of each kind is a warning", () => {
  test("of an origin with the line that lets it in", async () => {
    const server = await start();
    const evil = { Origin: "https://evil.example" };
    expect(await statusFor(server, evil)).toBe(403);
    expect(await statusFor(server, evil)).toBe(403);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain('allowedOrigins: ["https://evil.example"]');
    expect(warned[0]).toContain('--origins "https://evil.example"');
    expect(warned[0]).toContain(new URL(server.url).host);
    // The line is what it says.
    const allowing = await start({ router: { allowedOrigins: ["https://evil.example"] } });
    expect(await statusFor(allowing, evil)).toBe(101);
    expect(await statusFor(server, { Origin: "https://other.example" })).toBe(403);
    expect(warned).toHaveLength(2);
  });

  test("of a credential, a path, a limit and a broken handshake, once for each", async () => {
    const server = await start({ limits: { maxConnectionsPerAddress: 1 } });
    for (let i = 0; i < 2; i++) {
      expect(await statusFor(server, {}, "/")).toBe(401);
      expect(await statusFor(server, {}, "/nowhere")).toBe(404);
      expect(await statusFor(server, { "Sec-WebSocket-Version": "8" })).toBe(426);
    }
    const client = await Client.connect(`${server.url}/anonymous`);
    expect(await statusFor(server, {})).toBe(429);
    await client.close();
    expect(warned).toEqual([
      expect.stringContaining("authenticate found no valid credential"),
      expect.stringMatching(/"\/nowhere".*there are \/anonymous, \//),
      expect.stringContaining("no WebSocket handshake"),
      expect.stringContaining("maxConnectionsPerAddress"),
    ]);
  });

  test("of a valid credential that does not allow the route", async () => {
    const server = await start();
    server.router.scopes("/write", ["write"], {});
    expect(await statusFor(server, {}, "/write?user=alice")).toBe(403);
    expect(warned).toEqual([expect.stringContaining("does not allow this route")]);
  });

  test("in the log where there is one, and what strangers make up ends somewhere", async () => {
    const lines: { level: string; message: string }[] = [];
    const at = (level: string) => (_fields: object, message: string) =>
      void lines.push({ level, message });
    const logger: Logger = {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
    };
    const server = await start({ logger });
    for (let i = 0; i < 150; i++) {
      expect(await statusFor(server, { Origin: `https://${i}.example` })).toBe(403);
    }
    expect(warned).toEqual([]);
    expect(lines.filter(({ level }) => level === "warn")).toHaveLength(100);
    expect(lines.filter(({ message }) => message === "upgrade refused")).toHaveLength(150);
  });

  test("and shows nothing that a terminal would obey", async () => {
    const server = await start();
    expect(await statusFor(server, { Origin: "https://a.example/\u009b31m" })).toBe(403);
    expect(warned[0]).not.toContain("\u009b");
  });
});

describe("pages of this machine", () => {
  const page = { Origin: "http://localhost:5173" };

  test.each([
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "https://localhost",
    "http://[::1]:3000",
  ])("%s may connect to this machine in development", async (origin) => {
    expect(await statusFor(await start(), { Origin: origin })).toBe(101);
    expect(warned).toEqual([]);
  });

  test("also through a proxy that puts the server's own name into Host", async () => {
    const server = await start();
    const { port } = new URL(server.url);
    expect(await statusFor(server, { ...page, Host: `localhost:${port}` })).toBe(101);
  });

  test.each([
    ["another site", { Origin: "https://evil.example" }],
    ["a name that begins like this machine", { Origin: "http://localhost.evil.example" }],
    ["an origin that no browser writes so", { Origin: "http://LOCALHOST:5173" }],
    ["another name of the server", { ...page, Host: "app.example.org" }],
    ["somebody else, by a proxy", { ...page, "X-Forwarded-For": "203.0.113.7" }],
  ])("only: not %s", async (_name, headers) => {
    expect(await statusFor(await start(), headers)).toBe(403);
  });

  test("not in production, unless the option says so, nor beside allowedOrigins", async () => {
    const before = process.env.NODE_ENV;
    onDispose(() => {
      process.env.NODE_ENV = before;
    });
    process.env.NODE_ENV = "production";
    expect(await statusFor(await start(), page)).toBe(403);
    expect(await statusFor(await start({ router: { allowLoopbackOrigins: true } }), page)).toBe(
      101,
    );
    process.env.NODE_ENV = "development";
    expect(await statusFor(await start({ router: { allowLoopbackOrigins: false } }), page)).toBe(
      403,
    );
    const listed = await start({ router: { allowedOrigins: ["https://app.example.org"] } });
    expect(await statusFor(listed, page)).toBe(403);
  });
});

test.each([
  ["https://app.example.org/", "https://app.example.org"],
  ["https://app.example.org/chat?x", "https://app.example.org"],
  ["localhost:5173", "http://localhost:5173"],
  ["app.example.org", "https://app.example.org"],
  ["HTTPS://App.example.org", "https://app.example.org"],
  ["https://app.example.org:443", "https://app.example.org"],
  ["wss://app.example.org", "https://app.example.org"],
  ["https://*.example.org", "no patterns"],
  ["", "https://app.example.org"],
  [/localhost/, "RegExp"],
  [new URL("https://app.example.org"), "object"],
])("an origin that no browser sends, %s, is refused with what is meant", async (origin, meant) => {
  const { manager } = await start();
  const allowedOrigins = [origin as string];
  const make = () => new WebSocketRouter(manager, { allowedOrigins });
  expect(make).toThrow(TypeError);
  expect(make).toThrow("allowedOrigins[0]");
  expect(make).toThrow(meant);
});

test.each([
  "https://app.example.org",
  "http://localhost:5173",
  "http://[::1]:3000",
  "null",
  "*",
  "capacitor://localhost",
  "chrome-extension://abcdefghijklmnop",
])("an origin that browsers send, %s, is taken", async (origin) => {
  const { manager } = await start();
  expect(() => new WebSocketRouter(manager, { allowedOrigins: [origin] })).not.toThrow();
});

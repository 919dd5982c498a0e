import { expect, test } from "vitest";
import {
  AuthenticationError,
  type ClientConfig,
  ConnectionClosedError,
  ConnectionFailedError,
  type ReconnectingEvent,
  WebSocketClient,
  type WebSocketClientOptions,
} from "../../src/client.ts";
import {
  accepted,
  type BadServer,
  http,
  type Misdeed,
  startBadServer,
} from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";

const onDispose = useDisposals();

const QUICK: Partial<ClientConfig> = {
  reconnectBackoffBaseMs: 10,
  reconnectMaxAttempts: 3,
  reconnectJitter: 0,
  closeTimeoutMs: 100,
};

async function start(misdeed: Misdeed): Promise<BadServer> {
  const server = await startBadServer(misdeed);
  onDispose(server.dispose);
  return server;
}

function client(server: BadServer, options: WebSocketClientOptions = {}): WebSocketClient {
  const made = new WebSocketClient(server.url, {
    ...options,
    config: { ...QUICK, ...options.config },
  });
  onDispose(() => made.close());
  return made;
}

/** The first connection is good and then cut; what comes after is bad. */
function goodOnce(misdeed: Misdeed): Misdeed {
  let count = 0;
  return (socket, key) => {
    if (count++ > 0) misdeed(socket, key);
    else socket.write(accepted(key), () => socket.resetAndDestroy());
  };
}

/** Everything the client tells about its end, once it has come. */
async function history(one: WebSocketClient): Promise<{
  attempts: ReconnectingEvent[];
  errors: Error[];
}> {
  const attempts: ReconnectingEvent[] = [];
  const errors: Error[] = [];
  one.on("reconnecting", (event) => attempts.push(event));
  one.on("error", (error) => errors.push(error));
  const closed = new Promise((resolve) => one.on("close", resolve));
  await one.connect();
  await closed;
  return { attempts, errors };
}

/** Frames as a server sends them. */
const TEXT_HI = Buffer.from([0x81, 2, 0x68, 0x69]);
const MASKED = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
const HALF = Buffer.from([0x81, 100, 0x68, 0x69]);
const OVERSIZED = Buffer.from([0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0]);

const REFUSALS: [what: string, misdeed: Misdeed, status: number | undefined, retried: boolean][] = [
  ["302", (s) => s.end(http("302 Found", "Location: ws://127.0.0.1:1/\r\n")), 302, false],
  ["400", (s) => s.end(http("400 Bad Request")), 400, false],
  ["403", (s) => s.end(http("403 Forbidden", "", "no")), 403, false],
  ["404", (s) => s.end(http("404 Not Found")), 404, false],
  ["200", (s) => s.end(http("200 OK", "", "a page")), 200, false],
  ["429", (s) => s.end(http("429 Too Many Requests")), 429, true],
  ["500", (s) => s.end(http("500 Internal Server Error")), 500, true],
  ["502", (s) => s.end(http("502 Bad Gateway")), 502, true],
  ["503", (s) => s.end(http("503 Service Unavailable")), 503, true],
  ["504", (s) => s.end(http("504 Gateway Timeout")), 504, true],
  ["a wrong accept key", (s) => s.write(accepted("another key")), undefined, false],
  [
    "a subprotocol nobody offered",
    (s, key) => s.write(accepted(key, "Sec-WebSocket-Protocol: other\r\n")),
    undefined,
    false,
  ],
  [
    "bad compression parameters",
    (s, key) =>
      s.write(
        accepted(
          key,
          "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
        ),
      ),
    undefined,
    false,
  ],
  ["a connection cut in the handshake", (s) => s.resetAndDestroy(), undefined, true],
  ["half a handshake", (s) => s.write("HTTP/1.1 101 Switching"), undefined, true],
  ["no answer to the handshake", () => {}, undefined, true],
];

test.each(REFUSALS)("%s: the first attempt fails, and says why", async (_what, misdeed, status) => {
  const server = await start(misdeed);
  const one = client(server, { config: { openTimeoutMs: 200 } });
  const error = await one.connect().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ConnectionFailedError);
  expect((error as ConnectionFailedError).status).toBe(status);
  expect(server.requests).toHaveLength(1);
  expect(one.state).toBe("closed");
});

test.each(REFUSALS)(
  "%s on reconnecting: tried again only if it may pass",
  async (_what, misdeed, status, retried) => {
    const server = await start(goodOnce(misdeed));
    const one = client(server, { config: { openTimeoutMs: 200 } });
    const { attempts, errors } = await history(one);
    // The first attempt is because the connection was cut.
    expect(attempts.map(({ attempt }) => attempt)).toEqual(retried ? [1, 2, 3] : [1]);
    expect(attempts.map(({ delayMs }) => delayMs)).toEqual(retried ? [10, 20, 40] : [10]);
    expect(server.requests).toHaveLength(1 + attempts.length);
    expect(errors.length).toBe(attempts.length);
    for (const error of errors) {
      expect(error).toBeInstanceOf(ConnectionFailedError);
      expect((error as ConnectionFailedError).status).toBe(status);
    }
    const end = await one.recv().catch((error: unknown) => error);
    expect(end).toBeInstanceOf(ConnectionClosedError);
    expect((end as ConnectionClosedError).cause).toBe(errors.at(-1));
  },
);

test.each([
  ["seconds", () => "7"],
  ["a date", () => new Date(Date.now() + 7900).toUTCString()],
])(
  "Retry-After in %s is obeyed, and those who were told the same do not come together",
  async (_form, value) => {
    const refuse: Misdeed = (s) =>
      s.end(http("503 Service Unavailable", `Retry-After: ${value()}\r\n`));
    const one = client(await start(goodOnce(refuse)));
    const waits: (number | null)[] = [];
    const asked = new Promise<void>((resolve) => {
      one.on("reconnecting", ({ delayMs }) => {
        if (waits.push(delayMs) === 2) resolve();
      });
    });
    await one.connect();
    await asked;
    expect(waits[1]).toBeGreaterThan(5000);
    // Twice as long at most, and as fractions of a millisecond show, at random.
    expect(waits[1]).toBeLessThan(16_000);
    expect(Number.isInteger(waits[1])).toBe(false);
  },
);

test("401 asks for one new token; if that is refused too, it is an AuthenticationError", async () => {
  const server = await start((s) => s.end(http("401 Unauthorized")));
  let tokens = 0;
  const one = client(server, { token: async () => `t${++tokens}` });
  await expect(one.connect()).rejects.toThrow(AuthenticationError);
  expect(server.requests.map((head) => /authorization: (.*)/i.exec(head)?.[1])).toEqual([
    "Bearer t1",
    "Bearer t2",
  ]);
  const fixed = client(server, { token: "fixed" });
  await expect(fixed.connect()).rejects.toThrow(AuthenticationError);
  expect(server.requests).toHaveLength(3);
});

test("401 on reconnecting: one new token, then the end", async () => {
  const server = await start(goodOnce((s) => s.end(http("401 Unauthorized"))));
  const one = client(server, { token: () => "t" });
  const { errors } = await history(one);
  expect(server.requests).toHaveLength(3);
  expect(errors.at(-1)).toBeInstanceOf(AuthenticationError);
});

test("a new token that is good ends the refusals", async () => {
  const server = await start((s, key) => {
    const good = server.requests.length % 2 === 0;
    s.write(good ? accepted(key) : http("401 Unauthorized"));
  });
  // That is no reconnect.
  for (const reconnectEnabled of [true, false]) {
    const one = client(server, { token: () => "t", config: { reconnectEnabled } });
    await one.connect();
    expect(one.isConnected).toBe(true);
  }
});

test.each([
  ["masked frames", MASKED, 1002],
  ["an oversized message", OVERSIZED, 1009],
])(
  "%s: the client ends the connection and does not come back for more",
  async (_what, bytes, code) => {
    const server = await start((s, key) => {
      s.write(Buffer.concat([Buffer.from(accepted(key)), TEXT_HI, bytes]));
      s.on("data", () => s.end());
    });
    const one = client(server);
    await one.connect();
    expect(await one.recv()).toBe("hi");
    const error = await one.recv().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ConnectionClosedError);
    expect((error as ConnectionClosedError).closeCode).toBe(code);
    expect(server.requests).toHaveLength(1);
  },
);

test("a reset in the middle of a frame costs that message, not the next connection", async () => {
  let count = 0;
  const server = await start((s, key) => {
    const first = count++ === 0;
    s.write(Buffer.concat([Buffer.from(accepted(key)), first ? HALF : TEXT_HI]), () => {
      if (first) s.resetAndDestroy();
    });
  });
  const one = client(server);
  await one.connect();
  expect(await one.recv()).toBe("hi");
  expect(server.requests).toHaveLength(2);
});

test("silence after the handshake is noticed within the ping interval and timeout", async () => {
  const server = await start((s, key) => s.write(accepted(key)));
  const one = client(server, {
    config: { pingIntervalMs: 100, pingTimeoutMs: 300, reconnectEnabled: false },
  });
  const lost = new Promise<{ code: number }>((resolve) => one.on("close", resolve));
  await one.connect();
  const since = performance.now();
  expect((await lost).code).toBe(1006);
  expect(performance.now() - since).toBeGreaterThanOrEqual(290);
});

test("a server that does not answer a close is left after closeTimeoutMs", async () => {
  const server = await start((s, key) => s.write(accepted(key)));
  const one = client(server, { config: { closeTimeoutMs: 100 } });
  await one.connect();
  const waiting = one.recv().catch((error: unknown) => error);
  await one.close(3000, "bye");
  expect(one.state).toBe("closed");
  expect(await waiting).toMatchObject({ closeCode: 3000, reason: "bye" });
});

test("a token that never comes fails the attempt as a handshake does that never ends", async () => {
  const server = await start((s, key) => s.write(accepted(key)));
  const one = client(server, {
    config: { openTimeoutMs: 100 },
    token: () => new Promise(() => {}),
  });
  const error = await one.connect().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ConnectionFailedError);
  expect([one.state, server.requests.length]).toEqual(["closed", 0]);
});

test("closing during the handshake ends the attempt", async () => {
  const server = await start(() => {});
  const one = client(server);
  const connecting = one.connect().catch((error: unknown) => error);
  await expect.poll(() => server.requests.length).toBe(1);
  expect(one.state).toBe("connecting");
  await one.close();
  expect(await connecting).toBeInstanceOf(ConnectionClosedError);
  expect(one.state).toBe("closed");
});

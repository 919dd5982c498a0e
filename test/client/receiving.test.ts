import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { WebSocketClient, type WebSocketClientOptions } from "../../src/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

/** A client that is connected to a server which does this with each connection. */
async function connected(
  serve: (socket: WebSocket, number: number) => void,
  options?: WebSocketClientOptions,
): Promise<WebSocketClient> {
  const server = await startSocketServer(serve);
  onDispose(server.dispose);
  const client = new WebSocketClient(server.url, options);
  onDispose(() => client.close());
  await client.connect();
  return client;
}

test.each([Infinity, 2 ** 31])("recv may wait %d ms, longer than any timer", async (timeoutMs) => {
  const client = await connected((socket) => socket.on("message", () => socket.send("hi")));
  const receiving = client.recv({ timeoutMs });
  // Only when a timer that is over at once would have been heard of.
  setTimeout(() => void client.send("now"), 10);
  expect(await receiving).toBe("hi");
});

test("listeners get everything, also after a loop was left with as much as may wait", async () => {
  const count = 200;
  const client = await connected(
    (socket) => {
      socket.on("message", () => {
        for (let i = 0; i < count; i++) socket.send(`${i} ${"x".repeat(10_000)}`);
      });
    },
    { config: { maxQueueSize: 4 } },
  );
  const got: number[] = [];
  client.on("message", (message) => got.push(Number.parseInt(String(message), 10)));
  const reading = (async () => {
    for await (const _message of client) {
      // The one that the loop has, and those that wait.
      await expect.poll(() => got.length).toBeGreaterThanOrEqual(5);
      break;
    }
  })();
  await client.send("begin");
  await reading;
  // Another listener does not make them come again.
  client.on("message", () => {});
  await expect.poll(() => got.length).toBe(count);
  expect(got).toEqual(Array.from({ length: count }, (_, i) => i));
});

test("tiny messages that come by thousands in one read are all kept, in order", async () => {
  const count = 100_000;
  const client = await connected((socket) => {
    socket.on("message", () => {
      for (let i = 0; i < count; i++) socket.send(i % 10 === 0 ? "" : String(i));
    });
  });
  await client.send("begin");
  let got = 0;
  for await (const message of client) {
    expect(message).toBe(got % 10 === 0 ? "" : String(got));
    if (++got === count) break;
  }
});

test("two loops, one after the other, miss nothing beside a listener", async () => {
  const client = await connected((socket) => {
    for (const text of ["one", "two", "three"]) socket.send(text);
  });
  const read: unknown[] = [];
  for await (const message of client) {
    read.push(message);
    client.on("message", () => {});
    break;
  }
  for await (const message of client) {
    if (read.push(message) === 3) break;
  }
  expect(read).toEqual(["one", "two", "three"]);
});

test("recv in a listener gets the next message, not the one that the listener has", async () => {
  const client = await connected((socket) => {
    socket.on("message", () => {
      for (const text of ["header", "body"]) socket.send(text);
    });
  });
  const receiving = new Promise((resolve) => {
    const off = client.on("message", () => {
      off();
      resolve(client.recv());
    });
  });
  await client.send("begin");
  expect(await receiving).toBe("body");
});

test("what is lost after a gap, while the client is away, is a gap too", async () => {
  const gaps: string[] = [];
  const server = await startSocketServer((socket, number) => {
    const say = (frame: object): void => socket.send(JSON.stringify(frame));
    socket.on("message", (data) => {
      const { type, rooms = {} } = JSON.parse(String(data));
      if (type !== "resume") return;
      // As the protocol has it: whoever asks for nothing has missed nothing.
      const recovered = "lobby" in rooms ? false : null;
      say({ type: "joined", room: "lobby", recovered, position: String(number) });
      if (number > 1) return;
      say({ type: "gap", room: "lobby" });
      socket.close(1012);
    });
  });
  onDispose(server.dispose);
  const client = new WebSocketClient(server.url, {
    subprotocols: ["roomcast.v1"],
    config: { reconnectBackoffBaseMs: 0 },
  });
  onDispose(() => client.close());
  client.on("gap", ({ room }) => gaps.push(room));
  await client.connect();
  await expect.poll(() => client.positions).toEqual({ lobby: "2" });
  expect(gaps).toEqual(["lobby", "lobby"]);
});

const ODD = '{"toString":1,"valueOf":1}';
const DEEP = `${"[".repeat(400_000)}${"]".repeat(400_000)}`;

test.each([
  `{"type":"pong","t":${ODD}}`,
  `{"type":"error","code":"odd","message":${ODD}}`,
  `{"type":"error","code":${ODD},"message":"odd"}`,
  `{"type":"joined","room":${ODD},"recovered":null,"position":"1"}`,
  `{"type":"joined","room":"lobby","recovered":null,"position":${DEEP}}`,
  `{"type":"gap","room":${ODD}}`,
  `{"type":"ack","id":${ODD},"data":${ODD}}`,
  `{"type":${ODD}}`,
  '{"type":"message"}',
  '{"type":"replay"}',
  `{"type":"message","room":${ODD},"id":${DEEP},"prev":${ODD},"data":"odd"}`,
  `{"type":"message","data":${ODD}}`,
  '{"type":"message","data":5}',
  `{"type":"replay","data":${DEEP}}`,
])("a frame that no server should send does no harm: %.70s", async (frame) => {
  const client = await connected(
    (socket, number) => {
      if (number === 1) socket.send(frame);
      else socket.send('{"type":"message","data":"well"}');
      if (number === 1) socket.close(4000);
    },
    { subprotocols: ["roomcast.v1"], config: { reconnectBackoffBaseMs: 0 } },
  );
  for await (const message of client) {
    expect(message).toEqual(expect.any(String));
    if (message === "well") break;
  }
  expect(JSON.parse(JSON.stringify(client.positions))).toEqual(client.positions);
});

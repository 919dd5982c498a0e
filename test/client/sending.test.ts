import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import {
  MessageTooLargeError,
  WebSocketClient,
  type WebSocketClientOptions,
} from "../../src/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

/** A client that is connected to a server which does this with each connection. */
async function connected(
  serve: (socket: WebSocket, number: number) => void,
  options?: WebSocketClientOptions,
): Promise<WebSocketClient> {
  const server = await startSocketServer(serve);
  onDispose(server.dispose);
  const client = new WebSocketClient(server.url, { subprotocols: ["roomcast.v1"], ...options });
  onDispose(() => client.close());
  await client.connect();
  return client;
}

test.each([null, 0, "enough"])(
  "a request that is aborted with %j rejects with that",
  async (reason) => {
    const client = await connected(() => {});
    const stop = new AbortController();
    const asking = client.request("anything", { signal: stop.signal });
    stop.abort(reason);
    await expect(asking).rejects.toBe(reason);
  },
);

test("a message that fits only without its frame is refused, and the connection goes on", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const client = new WebSocketClient(`${server.url}/?user=ann`, { subprotocols: ["roomcast.v1"] });
  onDispose(() => client.close());
  await client.connect();
  const closes: unknown[] = [];
  client.on("close", (event) => closes.push(event));
  const { maxMessageSize } = client.config;
  const frame = '{"type":"message","data":""}';
  const largest = "x".repeat(maxMessageSize - frame.length);
  await client.send(largest);
  for (const sent of [client.send(`${largest}x`), client.request(largest)]) {
    const error = await sent.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(MessageTooLargeError);
    expect((error as MessageTooLargeError).size).toBeGreaterThan(maxMessageSize);
  }
  // Whatever was sent has come.
  await client.request("the end").catch(() => {});
  expect([closes, client.isConnected]).toEqual([[], true]);
});

test("whatever is sent as JSON reaches the handler as its JSON text", async () => {
  const got: unknown[] = [];
  const server = await startManager();
  onDispose(server.dispose);
  server.router.public("/json", { message: (_connection, message) => void got.push(message) });
  const client = new WebSocketClient(`${server.url}/json`, { subprotocols: ["roomcast.v1"] });
  onDispose(() => client.close());
  await client.connect();
  const values = [new Date(0), { at: new Date(0) }, [1], 1.5e300, -0, true, null, "text"];
  for (const value of values) await client.sendJson(value);
  await expect.poll(() => got).toEqual(values.map((value) => JSON.stringify(value)));
});

test("rooms are asked for once, by whoever is first, and left once, by whoever is last", async () => {
  const asked: string[] = [];
  const client = await connected((socket) => {
    socket.on("message", (data) => {
      const { type, room, id } = JSON.parse(String(data));
      if (type === "join" || type === "leave") asked.push(`${type} ${room}`);
      if (type === "join") {
        socket.send(JSON.stringify({ type: "joined", room, recovered: null, position: null }));
      }
      if (id !== undefined) socket.send(JSON.stringify({ type: "ack", id }));
    });
    socket.send('{"type":"joined","room":"by the server","recovered":null,"position":null}');
  });
  await client.request("settle");
  client.leave("never joined");
  client.join("lobby");
  client.join("lobby");
  client.leave("lobby");
  await client.request("settle");
  // Gone and back in one turn, as components are that are made anew.
  client.leave("lobby");
  client.join("lobby");
  await client.request("settle");
  for (let i = 0; i < 3; i++) client.leave("lobby");
  await client.request("settle");
  client.leave("lobby");
  client.leave("by the server");
  await client.request("settle");
  expect(asked).toEqual(["join lobby", "leave lobby", "leave by the server"]);
});

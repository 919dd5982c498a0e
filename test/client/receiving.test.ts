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

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { Client } from "./client.ts";

/** A `ws` socket that did not come through our router, with its client. */
export async function foreignSocket(protocols: readonly string[] = []): Promise<{
  socket: WebSocket;
  client: Client;
  dispose: () => void;
}> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connected = once(server, "connection");
  const client = await Client.connect(`ws://127.0.0.1:${port}`, {}, protocols);
  const [socket] = (await connected) as [WebSocket];
  return { socket, client, dispose: () => server.close() };
}

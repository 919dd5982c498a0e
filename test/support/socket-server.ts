import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export interface SocketServer {
  readonly url: string;
  dispose(): void;
}

/**
 * A server that does this with each connection: its number, from 1, is given. It selects `roomcast.v1` where that is
 * offered, and says only what it is told.
 */
export async function startSocketServer(
  serve: (socket: WebSocket, number: number) => void = () => {},
): Promise<SocketServer> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: (offered) => offered.has("roomcast.v1") && "roomcast.v1",
  });
  let number = 0;
  server.on("connection", (socket) => serve(socket, ++number));
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dispose: () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  };
}

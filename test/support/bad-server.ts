import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** What a bad server does with each connection, when its request has come. */
export type Misdeed = (socket: Socket, key: string) => void;

export interface BadServer {
  readonly url: string;
  /** Requests that have come, with their headers. */
  readonly requests: readonly string[];
  dispose(): Promise<void>;
}

/** A server that speaks HTTP and WebSocket just as wrongly as it is told, byte by byte. */
export async function startBadServer(misdeed: Misdeed): Promise<BadServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let head = "";
    const read = (bytes: Buffer): void => {
      head += bytes.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", read);
      socket.resume();
      requests.push(head);
      misdeed(socket, /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? "");
    };
    socket.on("data", read);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    dispose: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** An answer over HTTP. */
export function http(status: string, headers = "", body = ""): string {
  return `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** A right answer to the handshake (RFC 6455 section 4.2.2), with more headers. */
export function accepted(key: string, headers = ""): string {
  const accept = createHash("sha1")
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  return `${start}Sec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`;
}

import type { IncomingMessage, Server } from "node:http";
import { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";

/** Headers that ask for another protocol: a request without them is the request it is. */
const UPGRADE_HEADERS: ReadonlySet<string> = new Set(["upgrade", "http2-settings"]);

/** So often on one connection; each time costs more than a plain request. */
const MAX_TIMES = 1000;
const TIMES: WeakMap<Duplex, number> = new WeakMap();

/** Whether WebSocket is among the protocols a request offers to go on with (RFC 9110 section 7.8). */
export function offersWebSocket({ headers }: IncomingMessage): boolean {
  const offered = (headers.upgrade ?? "").toLowerCase().split(",");
  return offered.some((protocol) => protocol.trim().split("/", 1)[0] === "websocket");
}

/**
 * Gives a request back to its server, which answers it as if it had not asked for an upgrade: "a server MAY ignore a
 * received Upgrade header field" (RFC 9110 section 7.8), `h2c` for instance. Node hands every such request to whoever
 * listens for upgrades and reads no further, body included; so what it has read is put back, without those headers, and
 * read again from the start.
 */
export function answerAsRequest(
  server: Server | SecureServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const times = (TIMES.get(socket) ?? 0) + 1;
  TIMES.set(socket, times);
  if (times > MAX_TIMES) {
    socket.destroy();
    return;
  }
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    const value = rawHeaders[i + 1] ?? "";
    if (UPGRADE_HEADERS.has(name.toLowerCase())) continue;
    if (name.toLowerCase() !== "connection") lines.push(`${name}: ${value}`);
    else lines.push(`${name}: ${withoutUpgrade(value)}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  server.emit(server instanceof SecureServer ? "secureConnection" : "connection", socket);
}

/** What is left of a `Connection` header; `keep-alive`, the default, if that is nothing. */
function withoutUpgrade(value: string): string {
  const options = value.split(",").map((option) => option.trim());
  const left = options.filter((option) => !UPGRADE_HEADERS.has(option.toLowerCase()));
  return left.join(", ") || "keep-alive";
}

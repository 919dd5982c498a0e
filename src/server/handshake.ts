import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** Why a request is not upgraded: an HTTP status, and headers that go with it. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the opening handshake of RFC 6455 section 4.2.1 asks of every request; null: all is there. */
export function checkHandshake(request: IncomingMessage): Refusal | null {
  if (request.method !== "GET") return { status: 405, headers: { Allow: "GET" } };
  const { upgrade, "sec-websocket-version": version, "sec-websocket-key": key } = request.headers;
  if (upgrade?.toLowerCase() !== "websocket") return { status: 400 };
  // Section 4.4: name the version we speak.
  if (version !== "13") return { status: 426, headers: { "Sec-WebSocket-Version": "13" } };
  if (key === undefined || Buffer.from(key, "base64").length !== 16) return { status: 400 };
  return null;
}

/**
 * Whether a browser on another site is behind the request: its `Origin` is not in `allowed`, or, without
 * a list, not the host itself. A client that sends none is no browser (RFC 6455 section 10.2).
 */
export function isForeignOrigin(
  request: IncomingMessage,
  allowed: readonly string[] | undefined,
): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return false;
  if (allowed !== undefined) return !allowed.includes(origin) && !allowed.includes("*");
  return !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase();
}

/** Answers an upgrade with an error and closes the socket. The body is the status alone. */
export function refuse(socket: Duplex, { status, headers = {} }: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = `${STATUS_CODES[status] ?? "Error"}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}`,
    "Connection: close",
    "Content-Type: text/plain",
    `Content-Length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

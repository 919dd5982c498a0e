import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** How a request is answered that is not upgraded. */
export interface RefusedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Why a request is not upgraded. */
export interface Refusal extends RefusedAnswer {
  /** For those who run the server: see `refusal-advice.ts`. The client is told the status alone. */
  readonly reason: RefusalReason;
}

export type RefusalReason =
  | "bad_handshake"
  | "foreign_origin"
  | "no_credential"
  | "bad_credential"
  | "not_admitted"
  | "full"
  | "too_many_from_address"
  /** The server is at fault or about to stop, and says so elsewhere. */
  | "unavailable";

const BAD_REQUEST: Refusal = { status: 400, reason: "bad_handshake" };

/** What the opening handshake of RFC 6455 section 4.2.1 asks of every request; null: all is there. */
export function checkHandshake(request: IncomingMessage): Refusal | null {
  if (request.method !== "GET") {
    return { ...BAD_REQUEST, status: 405, headers: { Allow: "GET" } };
  }
  // RFC 9112 section 3.2: a second Host makes a request nobody can trust.
  if (request.httpVersion !== "1.1" || !hasOneHost(request.rawHeaders)) return BAD_REQUEST;
  const { upgrade, "sec-websocket-version": version, "sec-websocket-key": key } = request.headers;
  if (upgrade?.toLowerCase() !== "websocket") return BAD_REQUEST;
  // Section 4.4: name the version we speak.
  if (version !== "13") {
    return { ...BAD_REQUEST, status: 426, headers: { "Sec-WebSocket-Version": "13" } };
  }
  if (key === undefined || !isKey(key)) return BAD_REQUEST;
  return areSubprotocols(request.headers["sec-websocket-protocol"]) ? null : BAD_REQUEST;
}

/** Answers an upgrade with an error and closes the socket. The body is the status alone. */
export function refuse(socket: Duplex, { status, headers = {} }: RefusedAnswer): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const reason = STATUS_CODES[status];
  const body = `${reason}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    "Connection: close",
    "Content-Type: text/plain",
    `Content-Length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

/** Names and values in turn, as they came. */
function hasOneHost(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  return hosts === 1;
}

/** The value, when decoded, is 16 bytes in length (RFC 6455 section 4.2.1). */
function isKey(key: string): boolean {
  const isPadded = key.length === 24 && key.endsWith("==");
  // Buffer also reads the alphabet of URLs, and stops at what it cannot read.
  const isBase64 = !key.includes("-") && !key.includes("_");
  return isPadded && isBase64 && Buffer.from(key, "base64").length === 16;
}

const SEPARATORS = '()<>@,;:\\"/[]?={} \t';

/** A list of tokens (RFC 9110 section 5.6.2), each another one (RFC 6455 section 4.1); or no list. */
function areSubprotocols(header: string | undefined): boolean {
  if (header === undefined) return true;
  const names = header.split(",").map((name) => name.trim());
  return new Set(names).size === names.length && names.every(isToken);
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= 0x20 || unit >= 0x7f || SEPARATORS.includes(text.charAt(i))) return false;
  }
  return text !== "";
}

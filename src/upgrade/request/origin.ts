import type { IncomingMessage } from "node:http";
import { quote } from "../../protocol/names.ts";
import { isFromLoopback, isLoopbackHost } from "./loopback.ts";

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

/**
 * Whether a page that this machine serves to itself asks this machine: that of a development server on another port,
 * also through its proxy.
 */
export function isLoopbackPage(request: IncomingMessage): boolean {
  const { origin = "" } = request.headers;
  return (
    faultOfOrigin(origin) === null &&
    URL.canParse(origin) &&
    isLoopbackHost(new URL(origin).hostname) &&
    isFromLoopback(request)
  );
}

/** @throws TypeError naming the origin that no browser would send, and what was meant perhaps. */
export function checkOrigins(
  origins: readonly string[] | undefined,
): readonly string[] | undefined {
  if (origins === undefined) return undefined;
  if (!Array.isArray(origins)) {
    throw new TypeError('allowedOrigins must be a list such as ["https://app.example.org"].');
  }
  for (const [i, origin] of origins.entries()) {
    const fault = faultOfOrigin(origin);
    if (fault !== null) throw new TypeError(`allowedOrigins[${i}] ${fault}`);
  }
  return [...origins];
}

/** What keeps a text from ever being the `Origin` of a page (RFC 6454 section 7), as the end of a sentence. */
export function faultOfOrigin(origin: unknown): string | null {
  if (typeof origin !== "string") {
    const found = origin instanceof RegExp ? "a RegExp" : `of type ${typeof origin}`;
    return `is ${found}, but must be text, exactly as browsers send it: ${quote(EXAMPLE)}.`;
  }
  // "null" is what sandboxed pages and files send.
  if (origin === "*" || origin === "null") return null;
  if (origin.includes("*")) {
    return `is ${quote(origin)}, but there are no patterns: list each origin, or "*" for any.`;
  }
  const meant = originAt(origin) ?? originAt(withScheme(origin)) ?? EXAMPLE;
  if (meant === origin) return null;
  return `is ${quote(origin)}, but an origin is exactly what browsers send, without a path: ${quote(meant)}.`;
}

const EXAMPLE = "https://app.example.org";

/** The origin of the page at an address; null if pages have no such addresses. */
function originAt(address: string): string | null {
  if (!URL.canParse(address)) return null;
  const { protocol, host } = new URL(address.replace(/^ws(?=s?:)/, "http"));
  // Not `url.origin`: it is "null" for the schemes of applications, such as capacitor:.
  return host === "" ? null : `${protocol}//${host}`;
}

/** What is written without a scheme is a host. */
function withScheme(host: string): string {
  return `${isLoopbackHost(host.split(":", 1)[0] ?? "") ? "http" : "https"}://${host}`;
}

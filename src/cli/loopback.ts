import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isForeignOrigin } from "../upgrade/handshake.ts";

/** What proxies write: a request that has any of these comes from somewhere else. */
const PROXY_HEADERS = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/** Whether `host` names this machine to itself alone. */
export function isLoopbackHost(host: string): boolean {
  const name = host.startsWith("[") ? host.slice(1, -1) : host;
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

/**
 * Whether a request was made by a person or program on this machine: not passed on by a proxy, and not
 * by a page of somebody else in a browser here, not even one whose name resolves to this machine.
 */
export function isFromThisMachine(request: IncomingMessage): boolean {
  const { remoteAddress = "" } = request.socket;
  const peer = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice(7) : remoteAddress;
  const host = `http://${request.headers.host}`;
  return (
    isLoopbackHost(peer) &&
    PROXY_HEADERS.every((name) => request.headers[name] === undefined) &&
    URL.canParse(host) &&
    isLoopbackHost(new URL(host).hostname) &&
    !isForeignOrigin(request, undefined)
  );
}

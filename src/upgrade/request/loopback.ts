import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/** What proxies write: a request that has any of these comes from somewhere else. */
const PROXY_HEADERS = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/** Whether `host` names this machine to itself alone. */
export function isLoopbackHost(host: string): boolean {
  const name = host.startsWith("[") ? host.slice(1, -1) : host;
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

/** Whether a request was made on this machine, to a name that means this machine, and not passed on by a proxy. */
export function isFromLoopback(request: IncomingMessage): boolean {
  const { remoteAddress = "" } = request.socket;
  const peer = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice(7) : remoteAddress;
  const host = `http://${request.headers.host}`;
  return (
    isLoopbackHost(peer) &&
    PROXY_HEADERS.every((name) => request.headers[name] === undefined) &&
    URL.canParse(host) &&
    isLoopbackHost(new URL(host).hostname)
  );
}

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLoopbackHost } from "../upgrade/request/loopback.ts";
import type { ServeOptions } from "./serve-options.ts";

/** What others are told, and whoever runs the server. */
export const FOREIGN_HOST =
  "Without JWT_SECRET or JWKS_URL this server answers to localhost and loopback addresses alone.";

/**
 * Whether a request is for this server, by its `Host`. In development mode that must name this machine to itself:
 * anybody can point a name of theirs at a loopback address (DNS rebinding), and a page of theirs would be of our
 * origin. Where others are let in all the same, also addresses, the name listened on, and hosts of `origins`.
 */
export function makeHostCheck({
  jwt,
  host,
  origins = [],
}: Pick<ServeOptions, "jwt" | "host" | "origins">): (request: IncomingMessage) => boolean {
  if (jwt !== null) return () => true;
  const known = new Set(origins.flatMap((one) => (URL.canParse(one) ? new URL(one).hostname : [])));
  const isLocal = isLoopbackHost(host);
  if (!isLocal) known.add(host.toLowerCase());
  return (request) => {
    const url = `http://${request.headers.host}`;
    if (!URL.canParse(url)) return false;
    const { hostname } = new URL(url);
    const isAddress = isIP(hostname) !== 0 || hostname.startsWith("[");
    return isLoopbackHost(hostname) || known.has(hostname) || (isAddress && !isLocal);
  };
}

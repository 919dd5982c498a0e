import type { IncomingMessage } from "node:http";
import type { Log } from "../../events/log.ts";
import { quote } from "../../protocol/names.ts";
import type { Refusal, RefusalReason } from "./handshake.ts";
import { faultOfOrigin } from "./origin.ts";

/** What whoever runs the server can do, by what was refused. */
const ADVICE: Readonly<Record<Exclude<RefusalReason, "foreign_origin" | "unavailable">, string>> = {
  bad_handshake: "it is no WebSocket handshake of version 13, or something on the way changed it",
  no_credential:
    "authenticate found no valid credential; clients send one as Authorization: Bearer <token>, as the " +
    'subprotocols ["bearer", token], or as ?token=, and router.public(path, …) needs none',
  bad_credential: "it carries two different credentials, or one that cannot be read",
  not_admitted: "the credential is valid, but does not allow this route",
  full: "there are limits.maxConnections connections already",
  too_many_from_address:
    "there are limits.maxConnectionsPerAddress connections from its address already; behind a proxy, trustProxy tells addresses apart",
};

const MAX_ORIGIN = 256;

/**
 * Says once for each reason, and once for each origin, why a client was refused: to a browser every refusal looks
 * the same. Whether it was said now.
 */
export function adviseOnRefusal(
  log: Log,
  request: IncomingMessage,
  { status, reason }: Refusal,
  fields: object,
): boolean {
  if (reason === "unavailable") return false;
  if (reason !== "foreign_origin") {
    return log.warnOnce(reason, { status, ...fields }, refused(status, ADVICE[reason]));
  }
  const { origin = "", host = "" } = request.headers;
  const page = showOrigin(origin);
  const said =
    `pages of ${page} may not connect to ${quote(host)}. To let them: ` +
    `new WebSocketRouter(manager, { allowedOrigins: [${page}] }), or roomcast serve --origins ${page}`;
  return log.warnOnce(`${reason} ${origin}`, { status, origin, ...fields }, refused(status, said));
}

/** Says once that a path is asked for which no route has. */
export function adviseOnPath(log: Log, pathname: string, routes: readonly string[]): void {
  const known = routes.length === 0 ? "there are none yet" : `there are ${routes.join(", ")}`;
  const said = refused(404, `no route has the path ${quote(pathname)}; ${known}`);
  log.warnOnce("no_route", { status: 404 }, said);
}

/** Whole, since it is to be copied; what no browser sends may be cut. */
function showOrigin(origin: string): string {
  const isWhole = origin.length <= MAX_ORIGIN && faultOfOrigin(origin) === null;
  return isWhole ? JSON.stringify(origin) : quote(origin);
}

function refused(status: number, why: string): string {
  return `refused a WebSocket with ${status}: ${why}.`;
}

import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import type { Duplex } from "node:stream";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { redactUrl } from "../auth/redact-url.ts";
import { makeConnectionId } from "../connection/connection-id.ts";
import type { RouteTerms } from "../connection/connection-terms.ts";
import type { ServerSocket } from "../connection/native-socket.ts";
import { seat } from "../connection/seating.ts";
import { addressGroup, clientAddress } from "../limits/client-address.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { quote } from "../protocol/names.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { TOO_MANY } from "../server/admission.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import {
  type Authentication,
  authenticate,
  RETRY_LATER,
  reauthenticate,
} from "./authentication.ts";
import { type Context, runHandler } from "./handler.ts";
import { checkHandshake, isForeignOrigin, type Refusal, refuse } from "./handshake.ts";
import type { Route } from "./route.ts";
import { splitTarget } from "./route-path.ts";

/** What holds for all routes of a router. */
export interface UpgradeRules {
  readonly authenticators: readonly Authenticator[];
  readonly authenticationTimeoutMs: number;
  /** null: only pages of the host itself. */
  readonly allowedOrigins: readonly string[] | undefined;
  readonly trusted: BlockList | null;
}

/** A request for an upgrade, and the route it is for. */
export interface Knock {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly route: Route;
  readonly params: Record<string, string>;
}

/** Somebody who may come in. */
interface Admission {
  readonly principal: Principal | null;
  /** What the connection will be called. */
  readonly id: string;
  /** Whether the user has not too many connections already. */
  readonly hasPlace: boolean;
}

const FORBIDDEN: Refusal = { status: 403 };
const TOO_MANY_REQUESTS: Refusal = { status: 429, headers: { "Retry-After": "5" } };

/**
 * The way of an upgrade: a well-formed handshake, from where it may come; a seat; a credential; a place
 * among the user's connections; then a connection and its handler. Each step may refuse with an HTTP
 * status, and until the last nothing of the application has run but its authenticators.
 */
export async function upgrade(
  manager: ConnectionManager,
  knock: Knock,
  rules: UpgradeRules,
): Promise<void> {
  const { request, socket } = knock;
  const address = addressOf(request, rules.trusted);
  const turnAway = (refusal: Refusal): void => {
    const url = quote(redactUrl(String(request.url)));
    manager.logger.debug({ status: refusal.status, url, address }, "upgrade refused");
    refuse(socket, refusal);
  };

  const refusal = checkHandshake(request) ?? checkOrigin(request, rules) ?? checkOpen(manager);
  if (refusal !== null) return turnAway(refusal);

  const group = addressGroup(address);
  const seating = manager.registrar.seats.take(group);
  if (seating !== "taken") return turnAway(seating === "full" ? RETRY_LATER : TOO_MANY_REQUESTS);

  let admission: Admission | null = null;
  let webSocket: ServerSocket | null = null;
  try {
    const admitted = await admit(manager, knock, rules);
    if ("status" in admitted) return turnAway(admitted);
    admission = admitted;
    // A stop may have begun meanwhile.
    const late = checkOpen(manager);
    if (late !== null) return turnAway(late);
    webSocket = accept(knock, address);
  } finally {
    if (webSocket === null) {
      manager.registrar.seats.free(group);
      if (admission !== null) manager.registrar.unreserve(admission.principal?.id, admission.id);
    }
  }
  if (webSocket === null) return;
  seat(webSocket, manager.registrar.seats, group);
  if (admission.hasPlace) run(manager, webSocket, knock, admission, rules);
  else webSocket.close(CloseCode.tooManyConnections, TOO_MANY);
}

function addressOf(request: IncomingMessage, trusted: BlockList | null): string | undefined {
  const forwardedFor = request.headersDistinct["x-forwarded-for"]?.join();
  return clientAddress(request.socket.remoteAddress, forwardedFor, trusted);
}

function checkOrigin(request: IncomingMessage, { allowedOrigins }: UpgradeRules): Refusal | null {
  return isForeignOrigin(request, allowedOrigins) ? FORBIDDEN : null;
}

function checkOpen(manager: ConnectionManager): Refusal | null {
  return manager.accepting ? null : RETRY_LATER;
}

/** Finds out who it is, whether the route is open to them, and takes a place for them. */
async function admit(
  manager: ConnectionManager,
  { request, socket, route }: Knock,
  rules: UpgradeRules,
): Promise<Admission | Refusal> {
  const id = makeConnectionId(manager.instanceId);
  const { authentication, admits } = route.access;
  if (authentication === "none") return { principal: null, id, hasPlace: true };
  const verdict = await authenticate(request, socket, authenticationOf(manager, route, rules));
  if ("refusal" in verdict) return verdict.refusal;
  const { principal } = verdict;
  if (principal === null) return { principal, id, hasPlace: true };
  if (!admits(principal)) return FORBIDDEN;
  return { principal, id, hasPlace: await manager.registrar.reserve(principal.id, id) };
}

function authenticationOf(
  manager: ConnectionManager,
  { access }: Route,
  { authenticators, authenticationTimeoutMs: timeoutMs }: UpgradeRules,
): Authentication {
  const optional = access.authentication === "optional";
  const report = (error: unknown): void => manager.reportError(error, "authentication");
  return { authenticators, timeoutMs, optional, report };
}

/** Answers the handshake. null: the client has gone. */
function accept({ request, socket, head, route }: Knock, address?: string): ServerSocket | null {
  let accepted: ServerSocket | null = null;
  socket.off("error", destroyOnError);
  route.acceptor.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.upgraded(socket, address);
    accepted = webSocket;
  });
  return accepted;
}

function run(
  manager: ConnectionManager,
  webSocket: ServerSocket,
  knock: Knock,
  { principal, id }: Admission,
  rules: UpgradeRules,
): void {
  const { request, route, params } = knock;
  const identity = principal === null ? {} : { principal };
  const terms = termsFor(manager, webSocket, knock, principal, rules);
  const connection = manager.registrar.register(webSocket, identity, terms, id);
  const query = new URLSearchParams(splitTarget(request).query);
  const context: Context = { params, query, request, principal };
  const report = (error: unknown, stage: string): void => manager.reportError(error, stage);
  manager.track(runHandler(route.handler, connection, context, report));
}

/** Those of the route; a client that speaks `roomcast.v1` may also renew its credential. */
function termsFor(
  manager: ConnectionManager,
  webSocket: ServerSocket,
  { request, socket, route }: Knock,
  principal: Principal | null,
  rules: UpgradeRules,
): RouteTerms {
  if (principal === null || webSocket.protocol !== SUBPROTOCOL) return route.terms;
  const authentication = authenticationOf(manager, route, rules);
  const renew = async (token: string): Promise<Principal | null> => {
    const renewed = await reauthenticate(request, socket, token, authentication);
    return renewed !== null && route.access.admits(renewed) ? renewed : null;
  };
  return { ...route.terms, renew };
}

/** Without a listener, one reset while a credential is checked would end the process. */
export function destroyOnError(this: Duplex): void {
  this.destroy();
}

import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import type { Duplex } from "node:stream";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { redactUrl } from "../auth/redact-url.ts";
import { makeConnectionId } from "../connection/connection-id.ts";
import type { NativeSocket } from "../connection/native-transport.ts";
import { addressGroup, clientAddress } from "../limits/client-address.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { quote } from "../protocol/names.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { TOO_MANY } from "../server/admission.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import type { Renew } from "../v1/session.ts";
import {
  type Authentication,
  authenticate,
  RETRY_LATER,
  reauthenticate,
} from "./authentication.ts";
import { type Context, type HandlerHost, Handling } from "./handler.ts";
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
  /** Whom handlers report to. */
  readonly host: HandlerHost;
}

/** A request for an upgrade, and the route it is for. */
export interface UpgradeRequest {
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
  upgradeRequest: UpgradeRequest,
  rules: UpgradeRules,
): Promise<void> {
  const { admission: admitting } = manager;
  const { request, socket } = upgradeRequest;
  const address = addressOf(request, rules.trusted);
  const turnAway = (refusal: Refusal): void => {
    const url = quote(redactUrl(request.url ?? ""));
    manager.log.debug({ status: refusal.status, url, address }, "upgrade refused");
    refuse(socket, refusal);
  };

  const refusal = checkHandshake(request) ?? checkOrigin(request, rules) ?? checkOpen(manager);
  if (refusal !== null) return turnAway(refusal);

  const group = addressGroup(address);
  const seating = admitting.takeSeat(group);
  if (seating !== "taken") return turnAway(seating === "full" ? RETRY_LATER : TOO_MANY_REQUESTS);

  let admission: Admission | null = null;
  let webSocket: NativeSocket | null = null;
  try {
    const admitted = await admit(manager, upgradeRequest, rules);
    if ("status" in admitted) return turnAway(admitted);
    admission = admitted;
    // A stop may have begun meanwhile.
    const late = checkOpen(manager);
    if (late !== null) return turnAway(late);
    webSocket = accept(upgradeRequest, address);
  } finally {
    if (webSocket === null) {
      admitting.freeSeat(group);
      if (admission !== null) admitting.unreserve(admission.principal?.id, admission.id);
    }
  }
  if (webSocket === null) return;
  if (admission.hasPlace) run(manager, webSocket, upgradeRequest, admission, group, rules);
  else {
    webSocket.once("close", () => admitting.freeSeat(group));
    webSocket.close(CloseCode.tooManyConnections, TOO_MANY);
  }
}

function addressOf(request: IncomingMessage, trusted: BlockList | null): string | undefined {
  // Only through hops that are trusted: without any nobody is asked.
  const forwardedFor = trusted === null ? undefined : request.headersDistinct["x-forwarded-for"];
  return clientAddress(request.socket.remoteAddress, forwardedFor?.join(), trusted);
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
  { request, socket, route }: UpgradeRequest,
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
  return { principal, id, hasPlace: await manager.admission.reserve(principal.id, id) };
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
function accept(
  { request, socket, head, route }: UpgradeRequest,
  address?: string,
): NativeSocket | null {
  let accepted: NativeSocket | null = null;
  socket.off("error", destroyOnError);
  route.acceptor.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.upgraded(socket, address);
    accepted = webSocket;
  });
  return accepted;
}

function run(
  manager: ConnectionManager,
  webSocket: NativeSocket,
  upgradeRequest: UpgradeRequest,
  { principal, id }: Admission,
  group: string | null,
  rules: UpgradeRules,
): void {
  const { request, route, params } = upgradeRequest;
  const renew = renewalFor(manager, webSocket, upgradeRequest, principal, rules);
  const connection = manager.admission.admit(webSocket, principal, {
    id,
    addressGroup: group,
    rules: route.rules,
    renew,
  });
  manager.handlers.began();
  const context = new RequestContext(params, request, principal);
  new Handling(route.handler, connection, context, rules.host).begin();
  forgetParsed(request);
}

/** What Node has parsed of the headers is parsed again when somebody asks: the request lives as long as the connection. */
function forgetParsed(request: IncomingMessage): void {
  Reflect.set(request, "headers", null);
  Reflect.set(request, "headersDistinct", null);
}

/** A client that speaks `roomcast.v1` may renew its credential. */
function renewalFor(
  manager: ConnectionManager,
  webSocket: NativeSocket,
  { request, socket, route }: UpgradeRequest,
  principal: Principal | null,
  rules: UpgradeRules,
): Renew | null {
  if (principal === null || webSocket.protocol !== SUBPROTOCOL) return null;
  const authentication = authenticationOf(manager, route, rules);
  return async (token) => {
    const renewed = await reauthenticate(request, socket, token, authentication);
    return renewed !== null && route.access.admits(renewed) ? renewed : null;
  };
}

/** What a handler knows; the query is read when somebody asks for it. */
class RequestContext implements Context {
  readonly params: Record<string, string>;
  readonly request: IncomingMessage;
  readonly principal: Principal | null;
  #query: URLSearchParams | null = null;

  constructor(
    params: Record<string, string>,
    request: IncomingMessage,
    principal: Principal | null,
  ) {
    this.params = params;
    this.request = request;
    this.principal = principal;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(splitTarget(this.request).query);
    return this.#query;
  }
}

/** Without a listener, one reset while a credential is checked would end the process. */
export function destroyOnError(this: Duplex): void {
  this.destroy();
}

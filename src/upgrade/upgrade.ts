import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import type { Duplex } from "node:stream";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { redactUrl } from "../auth/redact-url.ts";
import { makeConnectionId } from "../connection/connection-id.ts";
import type { NativeSocket } from "../connection/native-transport.ts";
import { addressGroup, clientAddress } from "../limits/client-address.ts";
import { countOne } from "../meters/counters.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { quote } from "../protocol/names.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { isThenable } from "../protocol/thenable.ts";
import { TOO_MANY } from "../server/admission.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import type { Renew } from "../v1/session.ts";
import {
  type Authentication,
  authenticate,
  RETRY_LATER,
  reauthenticate,
  type Verdict,
} from "./authentication.ts";
import type { Context } from "./handler.ts";
import { type HandlerHost, Handling } from "./handling.ts";
import { checkHandshake, type Refusal, refuse } from "./request/handshake.ts";
import { isForeignOrigin, isLoopbackPage } from "./request/origin.ts";
import { adviseOnRefusal } from "./request/refusal-advice.ts";
import type { Route } from "./route.ts";
import { splitTarget } from "./route-path.ts";

/** What holds for all routes of a router. */
export interface UpgradeRules {
  readonly authenticators: readonly Authenticator[];
  readonly authenticationTimeoutMs: number;
  /** undefined: only pages of the host itself. */
  readonly allowedOrigins: readonly string[] | undefined;
  /** Whether pages of this machine may connect to this machine, where nothing is said about origins. */
  readonly allowsLoopback: () => boolean;
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

const FOREIGN: Refusal = { status: 403, reason: "foreign_origin" };
const NOT_ADMITTED: Refusal = { status: 403, reason: "not_admitted" };
const FULL: Refusal = { ...RETRY_LATER, reason: "full" };
const STOPPING: Refusal = { ...RETRY_LATER, reason: "unavailable" };
const TOO_MANY_REQUESTS: Refusal = {
  status: 429,
  headers: { "Retry-After": "5" },
  reason: "too_many_from_address",
};

/**
 * The way of an upgrade: a well-formed handshake, from where it may come; a seat; a credential; a place
 * among the user's connections; then a connection and its handler. Each step may refuse with an HTTP
 * status, and until the last nothing of the application has run but its authenticators. Where nobody has to wait
 * for them, all of it happens at once. Never throws.
 */
export function upgrade(
  manager: ConnectionManager,
  upgradeRequest: UpgradeRequest,
  rules: UpgradeRules,
): void {
  const { request, socket } = upgradeRequest;
  const address = addressOf(request, rules.trusted);
  const turnAway = (refusal: Refusal): void => {
    countOne(manager.counters.refused, refusal.status);
    const url = quote(redactUrl(request.url ?? ""));
    const fields = { status: refusal.status, url, address };
    adviseOnRefusal(manager.logger, request, refusal, { url, address });
    manager.logger.debug(fields, "upgrade refused");
    refuse(socket, refusal);
  };

  const refusal = checkHandshake(request) ?? checkOrigin(request, rules) ?? checkOpen(manager);
  if (refusal !== null) {
    turnAway(refusal);
    return;
  }

  const group = addressGroup(address);
  const seating = manager.admission.takeSeat(group);
  if (seating !== "taken") {
    turnAway(seating === "full" ? FULL : TOO_MANY_REQUESTS);
    return;
  }

  const failed = (error: unknown): void => {
    manager.admission.freeSeat(group);
    manager.reportError(error, "upgrade");
    socket.destroy();
  };
  const decided = (admitted: Admission | Refusal): void => {
    // A stop may have begun meanwhile.
    const late = "status" in admitted ? admitted : checkOpen(manager);
    if (late !== null) {
      manager.admission.freeSeat(group);
      if (!("status" in admitted)) giveBack(manager, admitted);
      turnAway(late);
    } else if (!("status" in admitted)) {
      letIn(manager, upgradeRequest, admitted, { address, group }, rules);
    }
  };
  try {
    const admitted = admit(manager, upgradeRequest, rules);
    if (isThenable(admitted)) admitted.then(decided).catch(failed);
    else decided(admitted);
  } catch (error) {
    failed(error);
  }
}

/** Answers the handshake; the seat is the connection's from here on. */
function letIn(
  manager: ConnectionManager,
  upgradeRequest: UpgradeRequest,
  admission: Admission,
  { address, group }: { address: string | undefined; group: string | null },
  rules: UpgradeRules,
): void {
  const webSocket = accept(upgradeRequest, address);
  if (webSocket === null) {
    manager.admission.freeSeat(group);
    giveBack(manager, admission);
  } else if (admission.hasPlace) {
    run(manager, webSocket, upgradeRequest, admission, group, rules);
  } else {
    webSocket.once("close", () => manager.admission.freeSeat(group));
    webSocket.close(CloseCode.tooManyConnections, TOO_MANY);
  }
}

function giveBack(manager: ConnectionManager, { principal, id, hasPlace }: Admission): void {
  if (hasPlace) manager.admission.unreserve(principal?.id, id);
}

function addressOf(request: IncomingMessage, trusted: BlockList | null): string | undefined {
  // Only through hops that are trusted: without any nobody is asked.
  const forwardedFor = trusted === null ? undefined : request.headersDistinct["x-forwarded-for"];
  return clientAddress(request.socket.remoteAddress, forwardedFor?.join(), trusted);
}

function checkOrigin(
  request: IncomingMessage,
  { allowedOrigins, allowsLoopback }: UpgradeRules,
): Refusal | null {
  if (!isForeignOrigin(request, allowedOrigins)) return null;
  const isOurs = allowedOrigins === undefined && allowsLoopback() && isLoopbackPage(request);
  return isOurs ? null : FOREIGN;
}

function checkOpen(manager: ConnectionManager): Refusal | null {
  return manager.accepting ? null : STOPPING;
}

/** Finds out who it is, whether the route is open to them, and takes a place for them. */
function admit(
  manager: ConnectionManager,
  { request, socket, route }: UpgradeRequest,
  rules: UpgradeRules,
): Admission | Refusal | Promise<Admission | Refusal> {
  const id = makeConnectionId(manager.instanceId);
  const { authentication, admits } = route.access;
  if (authentication === "none") return { principal: null, id, hasPlace: true };
  const judge = (verdict: Verdict): Admission | Refusal | Promise<Admission> => {
    if ("refusal" in verdict) return verdict.refusal;
    const { principal } = verdict;
    if (principal === null) return { principal, id, hasPlace: true };
    if (!admits(principal)) return NOT_ADMITTED;
    const reserved = manager.admission.reserve(principal.id, id);
    if (reserved === true) return { principal, id, hasPlace: true };
    return reserved.then((hasPlace) => ({ principal, id, hasPlace }));
  };
  const verdict = authenticate(request, socket, authenticationOf(manager, route, rules));
  return isThenable(verdict) ? verdict.then(judge) : judge(verdict);
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

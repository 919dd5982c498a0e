import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type Server as SocketServer, WebSocketServer } from "ws";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { extractToken } from "../auth/extract-token.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import type { ConnectionManager } from "./connection-manager.ts";
import { type Context, type Handler, runHandler } from "./handler.ts";
import { checkHandshake, isForeignOrigin, type Refusal, refuse } from "./handshake.ts";
import { type Params, RoutePath } from "./route-path.ts";
import { ServerSocket } from "./server-socket.ts";

export interface WebSocketRouterOptions {
  /** Decides who a request comes from; a list is tried in turn. */
  readonly authenticate?: Authenticator | readonly Authenticator[];
  /** What every path begins with. Default: nothing. */
  readonly prefix?: string;
  /**
   * The origins browsers may connect from, exactly as they send them; `*` for any. Default: only pages
   * of the host itself.
   */
  readonly allowedOrigins?: readonly string[];
}

interface Route {
  readonly path: RoutePath;
  readonly access: "public" | "protected";
  readonly handler: Handler;
}

/** What every answer of 503 carries: the time in seconds after which to try again. */
const RETRY_LATER: Refusal = { status: 503, headers: { "Retry-After": "5" } };
const UNAUTHORIZED: Refusal = { status: 401, headers: { "WWW-Authenticate": "Bearer" } };

/** Brings WebSocket upgrades to the handlers of their paths. */
export class WebSocketRouter {
  readonly #manager: ConnectionManager;
  readonly #prefix: string;
  readonly #allowedOrigins: readonly string[] | undefined;
  readonly #authenticators: readonly Authenticator[];
  readonly #routes: Route[] = [];
  readonly #webSocketServer: SocketServer<typeof ServerSocket>;

  /** @throws TypeError if an option is wrong. */
  constructor(manager: ConnectionManager, options: WebSocketRouterOptions = {}) {
    const { authenticate = [], prefix = "", allowedOrigins } = options;
    this.#manager = manager;
    this.#prefix = prefix;
    this.#allowedOrigins = allowedOrigins;
    this.#authenticators = typeof authenticate === "function" ? [authenticate] : authenticate;
    this.#webSocketServer = makeWebSocketServer(manager);
  }

  /** A path that anybody may connect to; their connections have no user. */
  public<Path extends string>(path: Path, handler: Handler<Params<Path>>): this {
    return this.#add(path, "public", handler);
  }

  /** A path for whoever has a valid credential. */
  protected<Path extends string>(path: Path, handler: Handler<Params<Path>>): this {
    if (this.#authenticators.length === 0) {
      throw new TypeError(`The route ${path} needs the router's option authenticate.`);
    }
    return this.#add(path, "protected", handler);
  }

  /**
   * Takes the upgrades of a server that are for this router's paths. Changes no setting of the server
   * and leaves other upgrades to other listeners; where there is none, they get a 404.
   */
  attach(server: Server): void {
    attachTo(server, this);
  }

  /** Whether a request is for one of this router's paths. */
  serves(request: IncomingMessage): boolean {
    return this.#find(pathOf(request)) !== null;
  }

  /**
   * Upgrades a request or refuses it, with the status alone. For those who listen to `upgrade`
   * themselves; never throws.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener, one reset while a credential is checked would end the process.
    socket.on("error", destroy);
    this.#upgrade(request, socket, head).catch((error) => {
      this.#manager.reportError(error, "upgrade");
      refuse(socket, { status: 500 });
    });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const found = this.#find(pathOf(request));
    if (found === null) return refuse(socket, { status: 404 });
    const refusal = checkHandshake(request) ?? this.#checkAccess(request);
    if (refusal !== null) return refuse(socket, refusal);
    const { route, params } = found;
    let principal: Principal | null = null;
    if (route.access !== "public") {
      const result = await this.#authenticate(request);
      if ("status" in result) return refuse(socket, result);
      principal = result;
      // A stop or a flood may have begun while the credential was checked.
      const late = this.#checkAccess(request);
      if (late !== null) return refuse(socket, late);
    }
    socket.off("error", destroy);
    const remoteAddress = request.socket.remoteAddress;
    this.#webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.upgraded(socket, remoteAddress);
      const query = new URLSearchParams(queryOf(request));
      this.#run(route, webSocket, { params, query, request, principal });
    });
  }

  #run(route: Route, webSocket: ServerSocket, context: Context): void {
    const manager = this.#manager;
    const connection = manager.accept(webSocket, {
      ...(context.principal === null ? {} : { userId: context.principal.id }),
    });
    const report = (error: unknown, stage: string): void => manager.reportError(error, stage);
    manager.track(runHandler(route.handler, connection, context, report));
  }

  #checkAccess(request: IncomingMessage): Refusal | null {
    if (!this.#manager.accepting) return RETRY_LATER;
    const { maxConnections } = this.#manager.limits;
    if (maxConnections !== null && this.#manager.connectionCount >= maxConnections) {
      return RETRY_LATER;
    }
    return isForeignOrigin(request, this.#allowedOrigins) ? { status: 403 } : null;
  }

  async #authenticate(request: IncomingMessage): Promise<Principal | Refusal> {
    try {
      const { token } = extractToken(request);
      const signal = AbortSignal.timeout(AUTHENTICATION_TIMEOUT_MS);
      for (const authenticator of this.#authenticators) {
        const principal = await authenticator(request, { token, signal });
        if (principal !== null) return principal;
      }
      return UNAUTHORIZED;
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error;
      return BAD_REQUEST_CODES.has(error.code) ? { status: 400 } : UNAUTHORIZED;
    }
  }

  #add<Path extends string>(
    path: Path,
    access: Route["access"],
    handler: Handler<Params<Path>>,
  ): this {
    this.#routes.push({
      path: new RoutePath(this.#prefix + path),
      access,
      // The path of this route is what fills the parameters.
      handler: handler as Handler,
    });
    return this;
  }

  #find(pathname: string): { route: Route; params: Record<string, string> } | null {
    for (const route of this.#routes) {
      const params = route.path.match(pathname);
      if (params !== null) return { route, params };
    }
    return null;
  }
}

/** What is wrong with the request itself, not with who sent it. */
const BAD_REQUEST_CODES: ReadonlySet<string> = new Set(["conflicting_credentials", "bad_request"]);

/** How long an authenticator may take, in milliseconds; then the client gets a 503. */
const AUTHENTICATION_TIMEOUT_MS = 5000;

function makeWebSocketServer(manager: ConnectionManager): SocketServer<typeof ServerSocket> {
  const { maxMessageSize, closeTimeoutMs } = manager.config;
  // Not written in place: the types of ws do not know closeTimeout yet.
  const options = {
    noServer: true,
    clientTracking: false,
    WebSocket: ServerSocket,
    maxPayload: maxMessageSize,
    closeTimeout: closeTimeoutMs,
    handleProtocols: () => false as const,
  };
  return new WebSocketServer(options);
}

/** The path of a request's target, not decoded. Not by `new URL`, which throws at some targets. */
function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

function queryOf({ url = "" }: IncomingMessage): string {
  const start = url.indexOf("?");
  return start < 0 ? "" : url.slice(start);
}

function destroy(this: Duplex): void {
  this.destroy();
}

const ROUTERS: WeakMap<Server, Set<WebSocketRouter>> = new WeakMap();

/** Routers on one server share one listener, so that each path finds its router and 404 is sent once. */
function attachTo(server: Server, router: WebSocketRouter): void {
  const known = ROUTERS.get(server);
  if (known !== undefined) {
    known.add(router);
    return;
  }
  const routers = new Set([router]);
  ROUTERS.set(server, routers);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    for (const candidate of routers) {
      if (candidate.serves(request)) return candidate.handleUpgrade(request, socket, head);
    }
    if (server.listenerCount("upgrade") > 1) return;
    socket.on("error", destroy);
    refuse(socket, { status: 404 });
  });
}

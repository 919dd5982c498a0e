import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Authenticator } from "../auth/authenticator.ts";
import { hasAnyScope, hasScopes, isPerson } from "../auth/guards.ts";
import type {
  Connection,
  IncomingMessage as RawMessage,
  UserConnection,
} from "../connection/connection.ts";
import { trustedHops } from "../limits/client-address.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { checkSetting, duration } from "../protocol/setting.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import { ConnectionManager } from "../server/connection-manager.ts";
import type { Around } from "./around.ts";
import { attachTo, checkReach, type Upgrader, type UpgradeServer } from "./attach.ts";
import type { AnyHandler, Handler } from "./handler.ts";
import { refuse } from "./request/handshake.ts";
import { checkOrigins } from "./request/origin.ts";
import { adviseOnPath } from "./request/refusal-advice.ts";
import { type Access, makeRoute, type Route } from "./route.ts";
import type { RouteOptions } from "./route-options.ts";
import { type Params, type RoutePath, splitTarget } from "./route-path.ts";
import { destroyOnError, type UpgradeRules, upgrade } from "./upgrade.ts";

export interface WebSocketRouterOptions {
  /** Decides who a request comes from; a list is tried in turn. */
  readonly authenticate?: Authenticator | readonly Authenticator[];
  /** How long that may take, in milliseconds; then the client gets a 503. Default 5,000. */
  readonly authenticationTimeoutMs?: number;
  /** What every path begins with. Default: nothing. */
  readonly prefix?: string;
  /**
   * The origins browsers may connect from, exactly as they send them; `*` for any. Default: only pages
   * of the host itself, and those of `allowLoopbackOrigins`.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Without `allowedOrigins`: whether pages that this machine serves to itself, such as those of a development server
   * on another port, may connect to this machine. Default: unless `NODE_ENV` is "production".
   */
  readonly allowLoopbackOrigins?: boolean;
  /**
   * The addresses and subnets (`10.0.0.0/8`) of your proxies, whose `X-Forwarded-For` tells the client's
   * address. Default: none, the address is that of the connection.
   */
  readonly trustProxy?: readonly string[];
}

export const ROUTER_OPTIONS = [
  "authenticate",
  "authenticationTimeoutMs",
  "prefix",
  "allowedOrigins",
  "allowLoopbackOrigins",
  "trustProxy",
] as const;

/** What messages are on a route with this schema. */
export type MessageOf<S extends StandardSchema | undefined> = S extends StandardSchema
  ? SchemaOutput<S>
  : RawMessage;

/** Adds a route for anybody: its path, which may have `:params`, perhaps options, and its handler. */
export interface AddRoute<D extends object> {
  <Path extends string>(
    path: Path,
    handler: Handler<Params<Path>, RawMessage, Connection<RawMessage, Partial<D>>>,
  ): WebSocketRouter<D>;
  <Path extends string, S extends StandardSchema | undefined = undefined>(
    path: Path,
    options: RouteOptions<S>,
    handler: Handler<Params<Path>, MessageOf<S>, Connection<MessageOf<S>, Partial<D>>>,
  ): WebSocketRouter<D>;
}

/** Adds a route for those whose user was proven. */
export interface AddUserRoute<D extends object> {
  <Path extends string>(
    path: Path,
    handler: Handler<Params<Path>, RawMessage, UserConnection<RawMessage, Partial<D>>>,
  ): WebSocketRouter<D>;
  <Path extends string, S extends StandardSchema | undefined = undefined>(
    path: Path,
    options: RouteOptions<S>,
    handler: Handler<Params<Path>, MessageOf<S>, UserConnection<MessageOf<S>, Partial<D>>>,
  ): WebSocketRouter<D>;
}

/** The same, with the scopes after the path. */
export interface AddScopedRoute<D extends object> {
  <Path extends string>(
    path: Path,
    scopes: readonly string[],
    handler: Handler<Params<Path>, RawMessage, UserConnection<RawMessage, Partial<D>>>,
  ): WebSocketRouter<D>;
  <Path extends string, S extends StandardSchema | undefined = undefined>(
    path: Path,
    scopes: readonly string[],
    options: RouteOptions<S>,
    handler: Handler<Params<Path>, MessageOf<S>, UserConnection<MessageOf<S>, Partial<D>>>,
  ): WebSocketRouter<D>;
}

/** The handler, or the options and then the handler. */
type RouteArguments = [SomeHandler] | [RouteOptions, SomeHandler];

type SomeHandler = Handler<Record<string, string>, never, never>;

const AUTHENTICATION_TIMEOUT = duration("", 5000, { minMs: 1, maxMs: 600_000 });

/**
 * Brings WebSocket upgrades to the handlers of their paths. `D`: what the handlers keep in `connection.metadata`, which
 * begins empty.
 */
export class WebSocketRouter<D extends object = Record<string, unknown>> {
  readonly #manager: ConnectionManager;
  readonly #prefix: string;
  readonly #rules: UpgradeRules;
  readonly #routes: Route[] = [];
  readonly #arounds: Around[] = [];
  /** Those on each server this one is attached to, itself among them. */
  readonly #neighbours: Set<ReadonlySet<Upgrader>> = new Set();
  /** The request that was looked for last. */
  #last: { readonly request: IncomingMessage; readonly found: Found | null } | null = null;

  /** A path that anybody may connect to; nobody is asked who they are. */
  readonly public: AddRoute<D> = this.#adding({
    authentication: "none",
    admits: anybody,
  });

  /** A path for anybody; but whoever brings a credential must bring a valid one. */
  readonly optional: AddRoute<D> = this.#adding({
    authentication: "optional",
    admits: anybody,
  });

  /** A path for whoever has a valid credential. */
  readonly protected: AddUserRoute<D> = this.#adding({
    authentication: "required",
    admits: anybody,
  });

  /** A path for people: a JWT or a session, no API key. */
  readonly user: AddUserRoute<D> = this.#adding({
    authentication: "required",
    admits: isPerson,
  });

  /** A path for those whose credential has all of these scopes. */
  readonly scopes: AddScopedRoute<D> = this.#addingScoped(hasScopes);

  /** A path for those whose credential has one of these scopes. */
  readonly anyScope: AddScopedRoute<D> = this.#addingScoped(hasAnyScope);

  /** @throws TypeError or RangeError naming the option that is wrong. */
  constructor(manager: ConnectionManager, options: WebSocketRouterOptions = {}) {
    if (!(manager instanceof ConnectionManager)) {
      throw new TypeError(
        "WebSocketRouter needs a ConnectionManager: new WebSocketRouter(manager).",
      );
    }
    checkOptions("WebSocketRouter", options, ROUTER_OPTIONS);
    const { authenticate = [], prefix = "", allowedOrigins, trustProxy } = options;
    const { allowLoopbackOrigins } = options;
    if (typeof prefix !== "string" || (prefix !== "" && !prefix.startsWith("/"))) {
      throw new TypeError(`prefix must begin with /, not ${JSON.stringify(prefix)}.`);
    }
    if (allowLoopbackOrigins !== undefined && typeof allowLoopbackOrigins !== "boolean") {
      throw new TypeError("allowLoopbackOrigins must be true or false.");
    }
    this.#manager = manager;
    this.#prefix = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
    this.#rules = {
      authenticators: checkAuthenticators(authenticate),
      authenticationTimeoutMs: checkSetting(
        "authenticationTimeoutMs",
        options.authenticationTimeoutMs,
        AUTHENTICATION_TIMEOUT,
      ),
      allowedOrigins: checkOrigins(allowedOrigins),
      allowsLoopback: () => allowLoopbackOrigins ?? process.env.NODE_ENV !== "production",
      trusted: trustProxy === undefined ? null : trustedHops(trustProxy),
      host: {
        report: (error, connection) => manager.reportError(error, "handler", connection),
        ended: () => manager.handlers.ended(),
      },
    };
  }

  /**
   * Puts a function around the handlers of the routes that are added from now on, inside those that are there already: to
   * log, to measure, to translate errors, to refuse.
   */
  use(around: Around): this {
    if (typeof around !== "function") {
      throw new TypeError("use needs a function (call, next) => next().");
    }
    this.#arounds.push(around);
    return this;
  }

  /**
   * Takes the upgrades of a server that are for this router's paths. Changes no setting of the server
   * and leaves other upgrades to other listeners; where there is none, they get a 404.
   *
   * @throws TypeError if it is no server, saying where to find it; or if another router of that server has one of
   * its paths.
   */
  attach(server: UpgradeServer): void {
    this.#neighbours.add(attachTo(server, this));
  }

  /** See `Upgrader`. @internal */
  get paths(): readonly RoutePath[] {
    return this.#routes.map(({ path }) => path);
  }

  /** See `Upgrader`. @internal */
  unserved(request: IncomingMessage): void {
    const paths = this.paths.map(({ text }) => text);
    adviseOnPath(this.#manager.logger, splitTarget(request).pathname, paths);
  }

  /** Whether a request is for one of this router's paths. */
  serves(request: IncomingMessage): boolean {
    return this.#find(request) !== null;
  }

  /**
   * Upgrades a request or refuses it, with the status alone. For those who listen to `upgrade`
   * themselves; never throws.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", destroyOnError);
    const found = this.#find(request);
    this.#last = null;
    if (found === null) {
      this.unserved(request);
      refuse(socket, { status: 404 });
      return;
    }
    const { route, params } = found;
    upgrade(this.#manager, { request, socket, head, route, params }, this.#rules);
  }

  #adding(access: Access): AddRoute<D> & AddUserRoute<D> {
    return (path: string, ...route: RouteArguments) => this.#add(path, access, route);
  }

  #addingScoped(holds: typeof hasScopes): AddScopedRoute<D> {
    return (path: string, scopes: readonly string[], ...route: RouteArguments) => {
      const wanted = checkScopes(path, scopes);
      const admits: Access["admits"] = (principal) => holds(principal, wanted);
      return this.#add(path, { authentication: "required", admits }, route);
    };
  }

  #add(path: string, access: Access, route: RouteArguments): this {
    if (access.authentication !== "none" && this.#rules.authenticators.length === 0) {
      throw new TypeError(`The route ${path} needs the router's option authenticate.`);
    }
    const [options, handler] = route.length === 1 ? [{}, route[0]] : route;
    const { config } = this.#manager;
    // The schema among the options is what makes the messages of this very handler.
    const made = makeRoute(
      this.#prefix + path,
      access,
      options,
      handler as AnyHandler,
      config,
      this.#arounds,
    );
    const before = this.#routes.find((earlier) => earlier.path.covers(made.path))?.path.text;
    if (before === made.path.text) throw new TypeError(`There is a route ${before} already.`);
    if (before !== undefined) {
      throw new TypeError(
        `The route ${made.path.text} would never be reached: ${before} takes its requests. Add it before that one.`,
      );
    }
    for (const upgraders of this.#neighbours) checkReach(upgraders, this, made.path);
    this.#routes.push(made);
    return this;
  }

  #find(request: IncomingMessage): Found | null {
    // Asked whether it serves a request, a router is mostly handed it next.
    if (this.#last?.request === request) return this.#last.found;
    const { pathname } = splitTarget(request);
    let found: Found | null = null;
    for (const route of this.#routes) {
      const params = route.path.match(pathname);
      if (params === null) continue;
      found = { route, params };
      break;
    }
    this.#last = { request, found };
    return found;
  }
}

/** The route a request is for, and what its path says. */
interface Found {
  readonly route: Route;
  readonly params: Record<string, string>;
}

function anybody(): boolean {
  return true;
}

function checkScopes(path: string, scopes: readonly string[]): readonly string[] {
  if (Array.isArray(scopes) && scopes.length > 0) return [...scopes];
  throw new TypeError(`The scopes of ${path} must be a list of one or more.`);
}

function checkAuthenticators(
  authenticate: Authenticator | readonly Authenticator[],
): readonly Authenticator[] {
  const list = Array.isArray(authenticate) ? [...authenticate] : [authenticate];
  for (const one of list) {
    if (typeof one === "function") continue;
    throw new TypeError("authenticate must be a function (request, { token }), or a list of such.");
  }
  return list;
}

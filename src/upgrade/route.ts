import { type Server as SocketServer, WebSocketServer } from "ws";
import type { Principal } from "../auth/authenticator.ts";
import type { RouteRules } from "../connection/host.ts";
import { NativeSocket } from "../connection/native-transport.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { MAX_MESSAGE_SIZE, type WebSocketConfig } from "../protocol/config.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { checkSetting } from "../protocol/setting.ts";
import { type Around, surround } from "./around.ts";
import { type AnyHandler, checkHandler } from "./handler.ts";
import type { RouteOptions } from "./route-options.ts";
import { RoutePath } from "./route-path.ts";

const ROUTE_OPTIONS = ["schema", "subprotocols", "maxMessageSize", "authorize"] as const;

/** Whom a route lets in. */
export interface Access {
  /** "none": nobody is asked who they are. "optional": whoever has a credential needs a good one. */
  readonly authentication: "none" | "optional" | "required";
  /** Whether this principal may come in; else 403. */
  readonly admits: (principal: Principal) => boolean;
}

/** One path, and all that upgrading a request for it needs. */
export interface Route {
  readonly path: RoutePath;
  readonly access: Access;
  readonly rules: RouteRules;
  readonly handler: AnyHandler;
  /** `ws`, with this route's limits. */
  readonly acceptor: SocketServer<typeof NativeSocket>;
}

/** @throws TypeError or RangeError naming what is wrong. */
export function makeRoute(
  path: string,
  access: Access,
  options: RouteOptions,
  handler: AnyHandler,
  config: WebSocketConfig,
  arounds: readonly Around[],
): Route {
  checkOptions(`The route ${path}`, options, ROUTE_OPTIONS);
  const { schema, subprotocols = [], maxMessageSize, authorize } = options;
  checkHandler(path, handler);
  if (authorize !== undefined && typeof authorize !== "function") {
    throw new TypeError(`The option authorize of ${path} must be a function.`);
  }
  if (schema !== undefined && typeof schema["~standard"]?.validate !== "function") {
    throw new TypeError(`The option schema of ${path} must be a Standard Schema.`);
  }
  const maxPayload =
    maxMessageSize === undefined
      ? config.maxMessageSize
      : checkSetting(`The option maxMessageSize of ${path}`, maxMessageSize, MAX_MESSAGE_SIZE);
  return {
    path: new RoutePath(path),
    access,
    rules: { authorize: authorize ?? null, schema: schema ?? null },
    handler: surround(handler, arounds),
    acceptor: makeAcceptor(subprotocols, maxPayload, config.closeTimeoutMs),
  };
}

function makeAcceptor(
  subprotocols: readonly string[],
  maxPayload: number,
  closeTimeout: number,
): SocketServer<typeof NativeSocket> {
  // Not written in place: the types of ws do not know closeTimeout yet.
  const options = {
    noServer: true,
    clientTracking: false,
    WebSocket: NativeSocket,
    maxPayload,
    closeTimeout,
    handleProtocols: (offered: ReadonlySet<string>): string | false =>
      selectSubprotocol(offered, subprotocols),
  };
  return new WebSocketServer(options);
}

/**
 * `roomcast.v1` if it was offered, else the first of `spoken` that was. Else "bearer", if a token came that way: browsers give up
 * unless one of those they offered is selected, and the token itself is never echoed.
 */
function selectSubprotocol(
  offered: ReadonlySet<string>,
  spoken: readonly string[],
): string | false {
  if (offered.has(SUBPROTOCOL)) return SUBPROTOCOL;
  const fitting = spoken.find((subprotocol) => offered.has(subprotocol));
  return fitting ?? (offered.has("bearer") ? "bearer" : false);
}

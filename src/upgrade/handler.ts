import type { IncomingMessage as HttpRequest } from "node:http";
import type { Principal } from "../auth/authenticator.ts";
import type {
  AnyConnection,
  CloseInfo,
  Connection,
  Delivery,
  IncomingMessage,
} from "../connection/connection.ts";
import type { Message } from "../protocol/payload.ts";

/** What a handler knows besides its connection. `Who`: `Principal` where the route requires a credential. */
export interface Context<P = Record<string, string>, Who = Principal | null> {
  /** The parameters of the path. */
  readonly params: P;
  readonly query: URLSearchParams;
  /** The request that was upgraded. */
  readonly request: HttpRequest;
  /** Who it comes from; null on public routes and for anonymous clients. */
  readonly principal: Who;
}

/**
 * What a `message` handler may return. A client of `roomcast.v1` that sent the message with an id, as `request` does, gets
 * it as JSON with the acknowledgement. Nothing, and what sends resolve to, acknowledges alone: whom a message
 * reached is no client's business.
 */
export type Answer = Message | Delivery | undefined;

/**
 * Called as things happen. Messages come one after another: a promise holds back the next. One that
 * throws reaches the `error` event and the client as an `error` frame with a constant text, and the
 * connection stays open; `MessageRefusedError` reaches the client alone, with its own. `open` that throws closes it
 * with 1011.
 */
export interface HandlerObject<
  P = Record<string, string>,
  M = IncomingMessage,
  C extends AnyConnection = Connection<M>,
> {
  open?(connection: C, context: Context<P, C["principal"]>): unknown;
  message?(
    connection: C,
    message: M,
    context: Context<P, C["principal"]>,
  ): Answer | PromiseLike<Answer>;
  close?(connection: C, info: CloseInfo, context: Context<P, C["principal"]>): unknown;
}

/** For `for await` loops. Returning leaves the connection open; throwing closes it with 1011. */
export type HandlerFunction<
  P = Record<string, string>,
  M = IncomingMessage,
  C extends AnyConnection = Connection<M>,
> = (connection: C, context: Context<P, C["principal"]>) => unknown;

/**
 * `P`: the parameters of the path; `M`: its messages; `C`: its connections, `UserConnection<M>` where the route
 * requires a credential.
 */
export type Handler<
  P = Record<string, string>,
  M = IncomingMessage,
  C extends AnyConnection = Connection<M>,
> = HandlerObject<P, M, C> | HandlerFunction<P, M, C>;

/** A handler whose path and schema are its route's concern. */
export type AnyHandler = Handler<Record<string, string>, unknown, Connection<unknown>>;

const METHODS: readonly string[] = ["open", "message", "close"];

/** @throws TypeError if it is none, or has methods that nobody would ever call. */
export function checkHandler(path: string, handler: unknown): void {
  if (typeof handler === "function") return;
  if (typeof handler !== "object" || handler === null) {
    throw new TypeError(`The handler of ${path} must be a function or an object.`);
  }
  for (const name of METHODS) {
    const method: unknown = Reflect.get(handler, name);
    if (method === undefined || typeof method === "function") continue;
    throw new TypeError(`${name} of the handler of ${path} must be a function.`);
  }
  // An instance of a class may well have methods of its own.
  if (Object.getPrototypeOf(handler) !== Object.prototype) return;
  for (const [name, value] of Object.entries(handler)) {
    if (typeof value !== "function" || METHODS.includes(name)) continue;
    throw new TypeError(
      `The handler of ${path} has ${name}, which nobody calls; there are ${METHODS.join(", ")}.`,
    );
  }
}

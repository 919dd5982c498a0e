import type { Authorize } from "../connection/connection.ts";
import type { StandardSchema } from "../protocol/standard-schema.ts";

/** What a route asks for and gives, besides its handler. */
export interface RouteOptions<S extends StandardSchema | undefined = StandardSchema | undefined> {
  /**
   * Messages are JSON text that fits this Standard Schema (zod, valibot, …), and its output is what the
   * handler gets. What does not fit is answered with an `error` frame that names the field; binary
   * messages close with 1003. Default: messages are what the client sent.
   */
  readonly schema?: S;
  /** Subprotocols this route speaks besides `roomcast.v1`, the preferred one first. */
  readonly subprotocols?: readonly string[];
  /** The largest message that is accepted, in bytes; larger closes with 1009. Default: as configured. */
  readonly maxMessageSize?: number;
  /**
   * Asked by `connection.join`, not by `manager.joinRoom`. If it says no, `join` resolves to false and the
   * client gets an `error` frame `forbidden`.
   */
  readonly authorize?: Authorize;
}

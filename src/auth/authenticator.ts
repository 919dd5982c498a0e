import type { IncomingMessage } from "node:http";

/** The identity behind a connection, as an {@link Authenticator} found it. */
export interface Principal {
  /** Who this is: becomes the connection's `userId`, so it follows the rules for names. */
  readonly id: string;
  readonly email?: string;
  /** What the principal may do; empty if nothing in particular. */
  readonly scopes: readonly string[];
  /** Everything the credential said, verified; empty where it says nothing, as an API key does. */
  readonly claims: Readonly<Record<string, unknown>>;
  /**
   * How it was proven. `"jwt"` and `"session"` stand for people, `"apiKey"` for a program. An
   * authenticator of your own may use another word; what it finds then does not count as a person.
   */
  readonly via: "jwt" | "session" | "apiKey" | (string & Record<never, never>);
  /**
   * When the credential ends, in milliseconds since the epoch; absent if it does not. It may lie a
   * little in the past (clocks differ) or further ahead than a timer can wait (2^31 ms).
   */
  readonly expiresAt?: number;
}

/** What an {@link Authenticator} is given besides the request. */
export interface AuthenticationContext {
  /** The credential the client sent, or null if it sent none. See `extractToken`. */
  readonly token: string | null;
  /** Aborts when the answer is no longer wanted: after 5 seconds, or when the client has gone. */
  readonly signal: AbortSignal;
}

/**
 * Decides who a request comes from. It is called before the WebSocket handshake is answered, and
 * again with the same request when a connected client sends a fresh token.
 *
 * An authenticator
 * - MUST return null for a credential that is not its own or not valid. The next authenticator is
 *   asked; if there is none the client gets a 401, the same for every cause.
 * - MUST throw only if it could not check: a database that does not answer, keys that cannot be
 *   fetched. The client gets a 503 and may come again. The exception is `AuthenticationError`, which
 *   refuses at once, and nobody else is asked.
 * - MUST NOT look elsewhere if `token` is not null: a client that sends a token is judged by it. A
 *   cookie that is still good must not renew a session whose fresh token is not.
 * - MUST NOT put the token into an error, a log or the principal, write to the socket, or read the
 *   request's body.
 * - SHOULD stop working when `signal` aborts. Whatever it returns after that is ignored.
 *
 * In return it is guaranteed that `token` is not blank and has at most 8 KiB, that nothing of the
 * application has run for this connection before it has answered, and that it is not called twice at
 * the same time for the same connection.
 */
export type Authenticator = (
  request: IncomingMessage,
  context: AuthenticationContext,
) => Principal | null | Promise<Principal | null>;

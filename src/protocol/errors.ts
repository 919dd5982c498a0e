/** Options every Roomcast error takes besides its message. */
export interface WebSocketErrorOptions {
  /** What this error was made of, if something else failed first. */
  readonly cause?: unknown;
  /** A stable, machine-readable name; each class has its own default. */
  readonly code?: string;
}

/**
 * The base of every error Roomcast throws on its own account. `code` is stable across releases,
 * the message is not. A wrong argument is not one of these: it is a `TypeError` or `RangeError`
 * that names the option.
 */
export class WebSocketError extends Error {
  // The names are written out, so that they are the same in code that was minified.
  static override readonly name: string = "WebSocketError";
  /** The code of errors that were given none. */
  static readonly code: string = "websocket_error";
  readonly code: string;

  constructor(message: string, { code = new.target.code, cause }: WebSocketErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
  }
}

/** The connection is closed, so nothing more can be sent or received over it. */
export class ConnectionClosedError extends WebSocketError {
  static override readonly name: string = "ConnectionClosedError";
  static override readonly code: string = "connection_closed";
  /** The close code of RFC 6455 section 7.4 (1005 and 1006 where there was none on the wire). */
  readonly closeCode: number;
  /** The close reason as the peer gave it; may be empty. */
  readonly reason: string;

  constructor(closeCode: number, reason = "", options?: WebSocketErrorOptions) {
    super(`The connection is closed: ${closeCode}${reason && ` (${reason})`}.`, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** A connection could not be made: the network, the handshake, or the service behind it failed. */
export class ConnectionFailedError extends WebSocketError {
  static override readonly name: string = "ConnectionFailedError";
  static override readonly code: string = "connection_failed";
  /** The HTTP status by which a handshake was refused, where there was one and the runtime tells. */
  readonly status: number | undefined;

  constructor(message: string, options?: WebSocketErrorOptions & { readonly status?: number }) {
    super(message, options);
    this.status = options?.status;
  }
}

/** A credential is missing, wrong, ambiguous, or no longer valid. */
export class AuthenticationError extends WebSocketError {
  static override readonly name: string = "AuthenticationError";
  static override readonly code: string = "authentication_failed";
}

/** A message is larger than what this side or the other accepts. */
export class MessageTooLargeError extends WebSocketError {
  static override readonly name: string = "MessageTooLargeError";
  static override readonly code: string = "message_too_large";
  /** Size of the message in bytes, as it would be on the wire. */
  readonly size: number;
  /** The largest size that is accepted, in bytes. */
  readonly limit: number;

  constructor(size: number, limit: number, options?: WebSocketErrorOptions) {
    super(`A message of ${size} bytes is over the limit of ${limit} bytes.`, options);
    this.size = size;
    this.limit = limit;
  }
}

/**
 * Thrown by a handler that does not want a message: its sender gets an `error` frame with this code and this text, and with
 * the id of the message if it has one. Nobody else is told, and the connection stays open.
 */
export class MessageRefusedError extends WebSocketError {
  static override readonly name: string = "MessageRefusedError";
  static override readonly code: string = "refused";
  /** It was not even understood: the fifth such message in a row closes the connection with 1008. */
  readonly misunderstood: boolean;

  /** @param code what programs compare, such as "not_a_member" @param message for people; both go to the client */
  constructor(
    code: string,
    message: string,
    {
      misunderstood = false,
      cause,
    }: { readonly misunderstood?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { code, cause });
    this.misunderstood = misunderstood;
  }
}

/** The backplane could not do what it was asked, or nobody knows whether it did. */
export class BackplaneUnavailableError extends WebSocketError {
  static override readonly name: string = "BackplaneUnavailableError";
  static override readonly code: string = "backplane_unavailable";
  /** "not-stored": it certainly did not happen. "unknown": it may have happened. */
  readonly outcome: "not-stored" | "unknown";

  constructor(message: string, outcome: "not-stored" | "unknown", options?: WebSocketErrorOptions) {
    super(message, options);
    this.outcome = outcome;
  }
}

/** A task queue holds as many tasks as it may; this one was not added. */
export class QueueFullError extends WebSocketError {
  static override readonly name: string = "QueueFullError";
  static override readonly code: string = "queue_full";
  /** How many tasks the queue may hold that are not done. */
  readonly limit: number;

  constructor(queue: string, limit: number, options?: WebSocketErrorOptions) {
    super(`The queue ${queue} holds ${limit} tasks, as many as it may.`, options);
    this.limit = limit;
  }
}

/** A setting is not understood or out of range; the message names it, its value and what is allowed. */
export class ConfigurationError extends WebSocketError {
  static override readonly name: string = "ConfigurationError";
  static override readonly code: string = "invalid_configuration";
}

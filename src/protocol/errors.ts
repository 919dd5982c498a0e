/** Options every error takes besides its message. */
export interface WebSocketErrorOptions {
  /** What failed first, if this error was made of it. */
  readonly cause?: unknown;
  /** A stable, machine-readable name; each class has its own default. */
  readonly code?: string;
}

/** The base of every error this package throws on its own account. `code` is stable, the message is not. */
export class WebSocketError extends Error {
  readonly code: string;

  constructor(message: string, options: WebSocketErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = options.code ?? "websocket_error";
  }
}

/** A credential is missing, wrong, ambiguous, or no longer valid. */
export class AuthenticationError extends WebSocketError {
  constructor(message: string, options: WebSocketErrorOptions = {}) {
    super(message, { code: "authentication_failed", ...options });
  }
}

/** A setting is not understood or out of range; the message names it, its value and what is allowed. */
export class ConfigurationError extends WebSocketError {
  constructor(message: string, options: WebSocketErrorOptions = {}) {
    super(message, { code: "invalid_configuration", ...options });
  }
}

import type { IncomingMessage } from "node:http";
import { apiKeyAuthenticator } from "../auth/api-key-authenticator.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { extractToken } from "../auth/extract-token.ts";
import { addressGroup } from "../limits/client-address.ts";
import { FailureLimit } from "../limits/failure-limit.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { HttpError } from "./http-error.ts";
import { isFromThisMachine } from "./loopback.ts";

const MAX_FAILURES = 5;
const WINDOW_MS = 60_000;

/**
 * Lets operators in: with the API key, or, while there is none, from this machine alone. Who gives five
 * wrong keys within a minute has to wait.
 */
export class OperatorGuard {
  readonly #authenticate: Authenticator | null;
  readonly #failures: FailureLimit = new FailureLimit(MAX_FAILURES, WINDOW_MS);

  constructor(apiKey: string | null) {
    this.#authenticate = apiKey === null ? null : apiKeyAuthenticator({ keys: [apiKey] });
  }

  /** @throws HttpError if the request is not an operator's. */
  async check(request: IncomingMessage): Promise<void> {
    if (this.#authenticate === null) {
      if (isFromThisMachine(request)) return;
      const message = "This is open to this machine alone, unless ROOMCAST_API_KEY is set.";
      throw new HttpError(403, "forbidden", message);
    }
    const address = addressGroup(request.socket.remoteAddress) ?? "";
    const waitMs = this.#failures.wait(address, Date.now());
    if (waitMs > 0) {
      const headers = { "Retry-After": String(Math.ceil(waitMs / 1000)) };
      throw new HttpError(429, "too_many_failures", "Too many wrong keys: wait a minute.", headers);
    }
    const token = findKey(request);
    const signal = AbortSignal.timeout(WINDOW_MS);
    if (token !== null && (await this.#authenticate(request, { token, signal })) !== null) return;
    if (token !== null) this.#failures.fail(address, Date.now());
    const message = "Send the API key as Authorization: Bearer <key>.";
    throw new HttpError(401, "unauthorized", message, { "WWW-Authenticate": "Bearer" });
  }
}

/** @throws HttpError if there are two different ones. */
function findKey(request: IncomingMessage): string | null {
  try {
    return extractToken(request).token;
  } catch (error) {
    if (!(error instanceof AuthenticationError)) throw error;
    throw new HttpError(400, error.code, error.message);
  }
}

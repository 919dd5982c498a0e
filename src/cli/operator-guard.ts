import type { IncomingMessage } from "node:http";
import { apiKeyAuthenticator } from "../auth/api-key-authenticator.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { extractToken } from "../auth/extract-token.ts";
import { addressGroup } from "../connections/client-address.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { HttpError } from "./http-error.ts";
import { isFromThisMachine } from "./loopback.ts";

const MAX_FAILURES = 5;
const WINDOW_MS = 60_000;
/** So many addresses are remembered; the oldest is forgotten for a new one. */
const MAX_ADDRESSES = 10_000;

interface Failures {
  count: number;
  readonly since: number;
}

/**
 * Lets operators in: with the API key, or, while there is none, from this machine alone. Who gives five
 * wrong keys within a minute has to wait.
 */
export class OperatorGuard {
  readonly #authenticate: Authenticator | null;
  readonly #failures: Map<string, Failures> = new Map();

  constructor(apiKey: string | null) {
    this.#authenticate = apiKey === null ? null : apiKeyAuthenticator({ keys: [apiKey] });
  }

  /** @throws HttpError if the request is not an operator's. */
  async check(request: IncomingMessage, now: number = Date.now()): Promise<void> {
    if (this.#authenticate === null) {
      if (isFromThisMachine(request)) return;
      const message = "This is open to this machine alone, unless ROOMCAST_API_KEY is set.";
      throw new HttpError(403, "forbidden", message);
    }
    const address = addressGroup(request.socket.remoteAddress) ?? "";
    this.#checkFailures(address, now);
    const token = findKey(request);
    const signal = AbortSignal.timeout(WINDOW_MS);
    if (token !== null && (await this.#authenticate(request, { token, signal })) !== null) return;
    if (token !== null) this.#failed(address, now);
    const message = "Send the API key as Authorization: Bearer <key>.";
    throw new HttpError(401, "unauthorized", message, { "WWW-Authenticate": "Bearer" });
  }

  #checkFailures(address: string, now: number): void {
    const failures = this.#failures.get(address);
    if (failures === undefined) return;
    const left = failures.since + WINDOW_MS - now;
    if (left <= 0) this.#failures.delete(address);
    else if (failures.count >= MAX_FAILURES) {
      const headers = { "Retry-After": String(Math.ceil(left / 1000)) };
      throw new HttpError(429, "too_many_failures", "Too many wrong keys: wait a minute.", headers);
    }
  }

  #failed(address: string, now: number): void {
    const failures = this.#failures.get(address);
    if (failures !== undefined) {
      failures.count++;
      return;
    }
    const [oldest] = this.#failures.size >= MAX_ADDRESSES ? this.#failures.keys() : [];
    if (oldest !== undefined) this.#failures.delete(oldest);
    this.#failures.set(address, { count: 1, since: now });
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

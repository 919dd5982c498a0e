import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { BlockList } from "node:net";
import { extractToken } from "../auth/extract-token.ts";
import { addressGroup, clientAddress, trustedHops } from "../limits/client-address.ts";
import { FailureLimit } from "../limits/failure-limit.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { isFromLoopback } from "../upgrade/request/loopback.ts";
import { isForeignOrigin } from "../upgrade/request/origin.ts";
import { HttpError } from "./http-error.ts";
import type { ServeOptions } from "./serve-options.ts";

const MAX_FAILURES = 5;
const WINDOW_MS = 60_000;

/**
 * Lets operators in: with the API key, or, while there is none, from this machine alone, and nobody where the server is
 * set up for others (tokens, origins, proxies): a proxy on this machine would be taken for it. Who gives five wrong keys
 * within a minute has to wait.
 */
export class OperatorGuard {
  /** A digest of the key. */
  readonly #key: Buffer | null;
  readonly #isOpenHere: boolean;
  readonly #trusted: BlockList;
  readonly #failures: FailureLimit = new FailureLimit(MAX_FAILURES, WINDOW_MS);

  constructor({
    apiKey,
    jwt,
    origins,
    trustProxy,
  }: Pick<ServeOptions, "apiKey" | "jwt" | "origins" | "trustProxy">) {
    this.#key = apiKey === null ? null : digest(apiKey);
    this.#isOpenHere = jwt === null && origins === undefined && trustProxy.length === 0;
    this.#trusted = trustedHops(trustProxy);
  }

  /**
   * Waits for nothing: of many wrong keys at once no more are compared than of many in turn.
   *
   * @throws HttpError if the request is not an operator's.
   */
  check(request: IncomingMessage): void {
    if (this.#key === null) {
      if (this.#isOpenHere && isFromThisMachine(request)) return;
      const message = this.#isOpenHere
        ? "This is open to this machine alone, unless ROOMCAST_API_KEY is set."
        : "This is closed, unless ROOMCAST_API_KEY is set.";
      throw new HttpError(403, "forbidden", message);
    }
    const address = this.#addressOf(request);
    const waitMs = this.#failures.wait(address, Date.now());
    if (waitMs > 0) {
      const headers = { "Retry-After": String(Math.ceil(waitMs / 1000)) };
      throw new HttpError(429, "too_many_failures", "Too many wrong keys: wait a minute.", headers);
    }
    const token = findKey(request);
    // Digests are of one length, and compared in constant time.
    if (token !== null && timingSafeEqual(digest(token), this.#key)) return;
    if (token !== null) this.#failures.fail(address, Date.now());
    const message = "Send the API key as Authorization: Bearer <key>.";
    throw new HttpError(401, "unauthorized", message, { "WWW-Authenticate": "Bearer" });
  }

  #addressOf({ socket, headersDistinct }: IncomingMessage): string {
    const forwardedFor = headersDistinct["x-forwarded-for"]?.join();
    return addressGroup(clientAddress(socket.remoteAddress, forwardedFor, this.#trusted)) ?? "";
  }
}

/** Not in the query, which gets into the logs of whatever is in between. @throws HttpError if there are two different ones. */
function findKey(request: IncomingMessage): string | null {
  try {
    return extractToken(request, { query: false }).token;
  } catch (error) {
    if (!(error instanceof AuthenticationError)) throw error;
    throw new HttpError(400, error.code, error.message);
  }
}

/**
 * Whether a request was made by a person or program on this machine: not passed on by a proxy, and not
 * by a page of somebody else in a browser here, not even one whose name resolves to this machine.
 */
function isFromThisMachine(request: IncomingMessage): boolean {
  return isFromLoopback(request) && !isForeignOrigin(request, undefined);
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

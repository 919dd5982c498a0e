import { checkOptions } from "../protocol/check-options.ts";
import { WebSocketError } from "../protocol/errors.ts";
import {
  candidates,
  type JwtAlgorithm,
  type KeyHint,
  publicKey,
  type VerificationKey,
} from "./verification-key.ts";

/** How a {@link RemoteKeySet} fetches and keeps its keys. All times in milliseconds. */
export interface RemoteKeySetOptions {
  /** How long fetched keys are used without asking again. Default 10 minutes. */
  readonly cacheMs?: number;
  /** How long they are used if asking again fails. Default 24 hours. */
  readonly maxStaleMs?: number;
  /** How long an unknown key may not cause another fetch. Default 30 seconds. */
  readonly cooldownMs?: number;
  /** How long after a failed fetch the next may begin. Default 1 second. */
  readonly retryMs?: number;
  /** How long a fetch may take, the body included. Default 3 seconds, below the 5 of a handshake. */
  readonly timeoutMs?: number;
}

const JWKS_OPTIONS = ["cacheMs", "maxStaleMs", "cooldownMs", "retryMs", "timeoutMs"] as const;
const MAX_BYTES = 256 * 1024;

/**
 * The public keys an issuer publishes as a JSON Web Key Set (RFC 7517 section 5).
 *
 * One fetch serves all who wait for it, and however many unknown keys strangers name, they cause at
 * most one fetch in `cooldownMs`. While the issuer cannot be reached, known keys go on being used
 * for `maxStaleMs`, and trying again delays nobody.
 */
export class RemoteKeySet {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #accepted: readonly JwtAlgorithm[] | undefined;
  readonly #now: () => number;
  readonly #times: Required<RemoteKeySetOptions>;

  #keys: readonly VerificationKey[] = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #nextFetchAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  /** Why the last fetch failed; undefined if it did not. */
  #failure: WebSocketError | undefined;

  constructor(
    url: URL,
    accepted: readonly JwtAlgorithm[] | undefined,
    now: () => number,
    options: RemoteKeySetOptions = {},
  ) {
    checkOptions("jwks", options, JWKS_OPTIONS);
    const {
      cacheMs = 10 * 60_000,
      maxStaleMs = 24 * 3_600_000,
      cooldownMs = 30_000,
      retryMs = 1_000,
      timeoutMs = 3_000,
    } = options;
    const { username, password } = url;
    // What is in front of the host is a credential: it goes into a header, and out of whatever shows the URL.
    this.#url = new URL(url);
    this.#url.username = this.#url.password = "";
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#headers =
      pair === ":" ? {} : { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
    this.#accepted = accepted;
    this.#now = now;
    this.#times = { cacheMs, maxStaleMs, cooldownMs, retryMs, timeoutMs };
    for (const [name, value] of Object.entries(this.#times)) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new RangeError(`jwks.${name} is ${value}; it must be a whole number, 0 or more.`);
      }
    }
  }

  /**
   * The keys a token may have been signed with; none if the issuer has no such key.
   *
   * @throws WebSocketError with code "keys_unavailable" if only the issuer could tell, and it does
   *   not answer.
   */
  async keysFor(hint: KeyHint): Promise<readonly VerificationKey[]> {
    if (this.#age() >= this.#times.cacheMs) {
      const refreshed = this.#refresh();
      // After a failure the known keys answer at once, while it is tried again behind them.
      if (this.#failure === undefined) await refreshed;
    }
    let found = this.#known(hint);
    if (found.length === 0) {
      // The issuer may have new keys.
      await this.#refresh();
      found = this.#known(hint);
      if (found.length === 0 && this.#failure !== undefined) throw this.#failure;
    }
    return found;
  }

  #known(hint: KeyHint): readonly VerificationKey[] {
    return this.#age() < this.#times.maxStaleMs ? candidates(this.#keys, hint) : [];
  }

  #age(): number {
    return this.#now() - this.#fetchedAt;
  }

  /** Resolves when the keys are as new as they can be at this time. Never rejects. */
  async #refresh(): Promise<void> {
    if (this.#now() >= this.#nextFetchAt) this.#fetching ??= this.#fetch();
    await this.#fetching;
  }

  async #fetch(): Promise<void> {
    const { cooldownMs, retryMs, timeoutMs } = this.#times;
    try {
      this.#keys = parseKeySet(
        await fetchText(this.#url, this.#headers, timeoutMs),
        this.#accepted,
      );
      this.#failure = undefined;
      this.#fetchedAt = this.#now();
      this.#nextFetchAt = this.#fetchedAt + cooldownMs;
    } catch (cause) {
      const where = this.#url.origin + this.#url.pathname;
      this.#failure = new WebSocketError(`The key set at ${where} could not be fetched.`, {
        code: "keys_unavailable",
        cause,
      });
      this.#nextFetchAt = this.#now() + retryMs;
    } finally {
      this.#fetching = undefined;
    }
  }
}

async function fetchText(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<string> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json", ...headers },
    // Whoever could redirect us could name the keys.
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new RangeError(`The answer is larger than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
  }
  if (response.status !== 200) throw new Error(`The answer has status ${response.status}.`);
  return Buffer.concat(chunks).toString();
}

function parseKeySet(
  text: string,
  accepted: readonly JwtAlgorithm[] | undefined,
): VerificationKey[] {
  const set: unknown = JSON.parse(text);
  if (!isObject(set) || !Array.isArray(set.keys)) throw new TypeError("It is no key set.");
  return set.keys.flatMap((jwk: unknown) => {
    try {
      return isObject(jwk) ? publicKey("A key of the set", jwk, accepted) : [];
    } catch {
      // RFC 7517 section 5: keys that are not understood should be ignored.
      return [];
    }
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

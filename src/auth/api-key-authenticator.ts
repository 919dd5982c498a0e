import { createHash, timingSafeEqual } from "node:crypto";
import { checkOptions } from "../protocol/check-options.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import type { AuthenticationContext, Authenticator, Principal } from "./authenticator.ts";
import { MAX_TOKEN_BYTES } from "./extract-token.ts";

/** Who an API key belongs to. */
export interface ApiKeyHolder {
  /** A name for logs, limits and `userId`. */
  readonly id: string;
  readonly scopes?: readonly string[];
}

/**
 * Finds the holder of an API key, for instance in a database, by a hash of the key. It returns null for
 * an unknown key, and throws if it cannot tell.
 */
export type ApiKeyLookup = (
  key: string,
  context: Pick<AuthenticationContext, "signal">,
) => ApiKeyHolder | null | Promise<ApiKeyHolder | null>;

type ListedKeys =
  | readonly string[]
  | Readonly<Record<string, ApiKeyHolder>>
  | ReadonlyMap<string, ApiKeyHolder>;

/** Options of {@link apiKeyAuthenticator}. */
export interface ApiKeyAuthenticatorOptions {
  /**
   * The keys that are good: a list, whose holder is `{ id: "apiKey" }` without scopes; an object or a
   * `Map` from key to holder; or a function that looks the holder up. Each key is at least 16
   * characters long; use random ones, such as `openssl rand -hex 32` makes.
   */
  readonly keys: ListedKeys | ApiKeyLookup;
}

const MIN_KEY_LENGTH = 16;

/**
 * Authenticates programs by an API key. Listed keys are compared in constant time, all of them at
 * each request, so that neither a near miss nor a key's place in the list shows in the time it takes.
 * A lookup function is asked only for tokens that are long enough to be a key.
 *
 * @throws ConfigurationError at once, if there is no key or one is too short
 * @throws TypeError or RangeError at once, if a holder's id is not a valid name; for one that was
 *   looked up, at the request
 */
export function apiKeyAuthenticator(options: ApiKeyAuthenticatorOptions): Authenticator {
  checkOptions("apiKeyAuthenticator", options, ["keys"]);
  const { keys } = options;
  const lookup = typeof keys === "function" ? keys : listedKeys(keys);
  return async (_request, { token, signal }) => {
    if (token === null || token.length < MIN_KEY_LENGTH) return null;
    if (Buffer.byteLength(token) > MAX_TOKEN_BYTES) return null;
    const holder = await lookup(token, { signal });
    return holder && principalOf(holder);
  };
}

function listedKeys(keys: ListedKeys): ApiKeyLookup {
  const known = entries(keys).map(([key, holder]) => {
    if (key.length < MIN_KEY_LENGTH) {
      throw new ConfigurationError(
        `keys has one of ${key.length} characters; at least ${MIN_KEY_LENGTH} are needed.`,
      );
    }
    checkName("user", holder.id);
    return { digest: sha256(key), holder };
  });
  if (known.length === 0) throw new ConfigurationError("keys must not be empty.");
  return (token) => {
    const digest = sha256(token);
    const [match] = known.filter((key) => timingSafeEqual(key.digest, digest));
    return match?.holder ?? null;
  };
}

function entries(keys: ListedKeys): [string, ApiKeyHolder][] {
  if (keys instanceof Map) return [...keys];
  if (isList(keys)) return keys.map((key) => [key, { id: "apiKey" }]);
  return Object.entries(keys);
}

function isList(keys: ListedKeys): keys is readonly string[] {
  return Array.isArray(keys);
}

function principalOf({ id, scopes = [] }: ApiKeyHolder): Principal {
  return { id: checkName("user", id), scopes: [...scopes], claims: {}, via: "apiKey" };
}

/** Of equal length whatever was hashed, as a comparison in constant time needs. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

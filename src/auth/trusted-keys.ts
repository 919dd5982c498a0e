import { ConfigurationError } from "../protocol/errors.ts";
import { RemoteKeySet, type RemoteKeySetOptions } from "./remote-key-set.ts";
import {
  ALGORITHMS,
  candidates,
  type JwtAlgorithm,
  type KeyHint,
  type PublicKey,
  publicKey,
  type Secret,
  secretKey,
  type VerificationKey,
} from "./verification-key.ts";

/** Which keys to trust. Exactly one of the first five must be given. */
export interface TrustedKeyOptions {
  /** A secret shared with the issuer, for HS256: at least 32 bytes; text counts as UTF-8. */
  readonly secret?: Secret;
  /** Several secrets, for rotation: a token signed with any of them is good. */
  readonly secrets?: readonly Secret[];
  /** The issuer's public key: PEM, certificate, JWK or `KeyObject`; RSA (2048 bits), EC or Ed25519. */
  readonly publicKey?: PublicKey;
  /** Several public keys, for rotation. */
  readonly publicKeys?: readonly PublicKey[];
  /** Where the issuer publishes its public keys: `https:`, or `http:` in a network you trust. */
  readonly jwksUrl?: string | URL;
  /** How the keys at `jwksUrl` are fetched and kept. */
  readonly jwks?: RemoteKeySetOptions;
  /**
   * The signature algorithms to accept. By default what a JWK names as its `alg`, else HS256 for
   * secrets, RS256 for RSA, and the one of its curve for any other key.
   */
  readonly algorithms?: readonly JwtAlgorithm[];
}

/** Finds the keys a token may have been signed with, in the order they are to be tried. */
export type KeySource = (
  hint: KeyHint,
) => readonly VerificationKey[] | Promise<readonly VerificationKey[]>;

export const TRUSTED_KEY_OPTIONS = [
  "secret",
  "secrets",
  "publicKey",
  "publicKeys",
  "jwksUrl",
  "jwks",
  "algorithms",
] as const;

const SOURCES = ["secret", "secrets", "publicKey", "publicKeys", "jwksUrl"] as const;

/** @throws ConfigurationError, TypeError or RangeError if the keys or algorithms cannot be right */
export function trustedKeys(options: TrustedKeyOptions, now: () => number): KeySource {
  const [source, ...others] = SOURCES.filter((name) => options[name] !== undefined);
  if (source === undefined || others.length > 0) {
    throw new ConfigurationError(`Exactly one of ${SOURCES.join(", ")} must be given.`);
  }
  const { secret, secrets = [], publicKey: key, publicKeys = [], jwksUrl, algorithms } = options;
  const possible = ALGORITHMS[source === "secret" || source === "secrets" ? "secret" : "public"];
  const wrong = algorithms?.find((algorithm) => !possible.includes(algorithm));
  if (wrong !== undefined || algorithms?.length === 0) {
    throw new ConfigurationError(
      `algorithms is [${algorithms}]; with ${source} it may name ${possible.join(", ")}.`,
    );
  }
  if (jwksUrl !== undefined) {
    const keySet = new RemoteKeySet(httpUrl(jwksUrl), algorithms, now, options.jwks);
    const usable = new Set<string>(algorithms ?? possible);
    // What no key of the set may have signed is not worth asking for.
    return (hint) => (usable.has(hint.alg) ? keySet.keysFor(hint) : []);
  }
  const keys = [
    ...(secret === undefined ? [] : [secretKey("secret", secret, algorithms)]),
    ...secrets.map((one, index) => secretKey(`secrets[${index}]`, one, algorithms)),
    ...(key === undefined ? [] : [publicKey("publicKey", key, algorithms)]),
    ...publicKeys.map((one, index) => publicKey(`publicKeys[${index}]`, one, algorithms)),
  ];
  if (keys.length === 0) throw new ConfigurationError(`${source} must not be empty.`);
  return (hint) => candidates(keys, hint);
}

function httpUrl(url: string | URL): URL {
  const parsed = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (parsed?.protocol !== "https:" && parsed?.protocol !== "http:") {
    throw new ConfigurationError("jwksUrl must be an absolute https: or http: URL.");
  }
  return parsed;
}

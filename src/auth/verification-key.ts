import { createPublicKey, createSecretKey, type JsonWebKey, KeyObject } from "node:crypto";
import { ConfigurationError } from "../protocol/errors.ts";

const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"] as const;
const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;
const CURVE_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const;

/** A signature algorithm of RFC 7518 section 3.1, RFC 8037 or RFC 9864 ("Ed25519" is a name for "EdDSA"). */
export type JwtAlgorithm =
  | (typeof SECRET_ALGORITHMS)[number]
  | (typeof RSA_ALGORITHMS)[number]
  | (typeof CURVE_ALGORITHMS)[number];

/** A secret shared with the issuer, at least 32 bytes; text counts as UTF-8. */
export type Secret = string | Uint8Array;

/** An issuer's public key or certificate in PEM, as a JWK, or as a `KeyObject`. */
export type PublicKey = string | JsonWebKey | KeyObject;

/** A key together with the only algorithms it may be used with (RFC 8725 sections 3.1 and 3.2). */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithms: readonly JwtAlgorithm[];
  /** The key's name; undefined if it has none. */
  readonly kid: string | undefined;
}

/** What a token's header says about the key it was signed with: a stranger's claim. */
export interface KeyHint {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** The algorithms a family of keys can be used with: one family never verifies for the other. */
export const ALGORITHMS: Readonly<Record<"secret" | "public", readonly JwtAlgorithm[]>> = {
  secret: SECRET_ALGORITHMS,
  public: [...RSA_ALGORITHMS, ...CURVE_ALGORITHMS],
};

/** What is accepted of a key that does not say, unless the application names others. */
const USUAL: readonly JwtAlgorithm[] = ["HS256", "RS256", ...CURVE_ALGORITHMS];

/** By the type of a public key, or its curve as OpenSSL calls it. */
const SUITABLE: ReadonlyMap<string | undefined, readonly JwtAlgorithm[]> = new Map<
  string | undefined,
  readonly JwtAlgorithm[]
>([
  ["rsa", RSA_ALGORITHMS],
  ["prime256v1", ["ES256"]],
  ["secp384r1", ["ES384"]],
  ["secp521r1", ["ES512"]],
  ["ed25519", ["EdDSA", "Ed25519"]],
]);

const MIN_SECRET_BYTES = 32;
const MIN_RSA_BITS = 2048;

/**
 * @param option its name, for the error message
 * @throws ConfigurationError if the secret is short, or is no secret but a key in PEM
 * @throws TypeError if it is neither text nor bytes
 */
export function secretKey(
  option: string,
  secret: Secret,
  accepted: readonly JwtAlgorithm[] = USUAL,
): VerificationKey {
  // A list of secrets from the environment easily holds an undefined one.
  if (typeof secret !== "string" && !(secret instanceof Uint8Array)) {
    throw new TypeError(`${option} must be text or bytes, not ${typeof secret}.`);
  }
  const bytes = Buffer.from(secret);
  // Anybody can sign with a public key taken as a secret.
  if (bytes.toString("latin1").trimStart().startsWith("-----BEGIN")) {
    throw new ConfigurationError(`${option} is a key in PEM: give it as publicKey.`);
  }
  // RFC 7518 section 3.2: not shorter than the hash.
  if (bytes.length < MIN_SECRET_BYTES) {
    throw new ConfigurationError(
      `${option} has ${bytes.length} bytes; at least ${MIN_SECRET_BYTES} random ones are needed.`,
    );
  }
  const algorithms = SECRET_ALGORITHMS.filter((algorithm) => accepted.includes(algorithm));
  return { key: createSecretKey(bytes), algorithms, kid: undefined };
}

/**
 * @param option its name, for the error message
 * @throws ConfigurationError if it is no public key, is weak, or fits none of the accepted algorithms
 */
export function publicKey(
  option: string,
  input: PublicKey,
  accepted?: readonly JwtAlgorithm[],
): VerificationKey {
  const key = importPublicKey(option, input);
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType;
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new ConfigurationError(
      `${option} has ${bits} bits; at least ${MIN_RSA_BITS} are needed.`,
    );
  }
  // What a JWK says of itself is binding: RFC 7517 section 4.
  const { alg, kid, use = "sig", key_ops: operations = ["verify"] } = isJwk(input) ? input : {};
  const verifies = use === "sig" && Array.isArray(operations) && operations.includes("verify");
  const allowed = accepted ?? (alg === undefined ? USUAL : ALGORITHMS.public);
  const algorithms = (SUITABLE.get(kind) ?? []).filter(
    (algorithm) => allowed.includes(algorithm) && (alg === undefined || alg === algorithm),
  );
  if (!verifies || algorithms.length === 0) {
    throw new ConfigurationError(
      `${option} is a key (${kind}) that cannot verify signatures by ${allowed.join(", ")}.`,
    );
  }
  return { key, algorithms, kid: typeof kid === "string" ? kid : undefined };
}

/** The keys a token may have been signed with. A key or a token without a `kid` fits any other. */
export function candidates(
  keys: readonly VerificationKey[],
  { alg, kid }: KeyHint,
): VerificationKey[] {
  return keys.filter(
    (key) =>
      key.algorithms.some((algorithm) => algorithm === alg) &&
      (kid === undefined || key.kid === undefined || key.kid === kid),
  );
}

function isJwk(input: PublicKey): input is JsonWebKey {
  return typeof input === "object" && !(input instanceof KeyObject);
}

function isPrivate(input: PublicKey): boolean {
  if (typeof input === "string") return input.includes("PRIVATE KEY");
  return isJwk(input) ? "d" in input : input.type === "private";
}

function importPublicKey(option: string, input: PublicKey): KeyObject {
  // It would work, but whoever can read it could sign: it has no business here.
  if (isPrivate(input)) throw new ConfigurationError(`${option} is private: give the public half.`);
  try {
    if (isJwk(input)) return createPublicKey({ key: input, format: "jwk" });
    return typeof input === "string" ? createPublicKey(input) : input;
  } catch (cause) {
    throw new ConfigurationError(`${option} is not a public key in PEM or JWK format.`, { cause });
  }
}

import type { JWTPayload, JWTVerifyOptions, ProtectedHeaderParameters } from "jose";
import { checkOptions } from "../protocol/check-options.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { checkPeer, loadPeer } from "../protocol/peer.ts";
import type { Authenticator } from "./authenticator.ts";
import { MAX_TOKEN_BYTES } from "./extract-token.ts";
import { principalFrom } from "./jwt-principal.ts";
import { TRUSTED_KEY_OPTIONS, type TrustedKeyOptions, trustedKeys } from "./trusted-keys.ts";
import type { KeyHint, VerificationKey } from "./verification-key.ts";

/** Options of {@link jwtAuthenticator}. */
export interface JwtAuthenticatorOptions extends TrustedKeyOptions {
  /** Who must have issued the token (`iss`): one of these. Not checked by default. */
  readonly issuer?: string | readonly string[];
  /** Who the token must be meant for (`aud`): one of these. Not checked by default. */
  readonly audience?: string | readonly string[];
  /** By how much the issuer's clock may differ, in milliseconds: 0 to 30,000. Default 5,000. */
  readonly clockSkewMs?: number;
  /** The claim the scopes are in: text separated by spaces, or a list. Default `scope` and `scopes`. */
  readonly scopesClaim?: string;
  /** The time, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

const JWT_OPTIONS = [
  ...TRUSTED_KEY_OPTIONS,
  "issuer",
  "audience",
  "clockSkewMs",
  "scopesClaim",
  "now",
] as const;
/** The optional package, loaded for the first token: who has API keys alone does without. */
type Jose = typeof import("jose");
let loaded: Promise<Jose> | undefined;

function library(): Promise<Jose> {
  loaded ??= loadPeer("jose", "jwtAuthenticator", () => import("jose"));
  return loaded;
}

const MAX_CLOCK_SKEW_MS = 30_000;

/**
 * Authenticates by a JSON Web Token (RFC 7519), signed and not encrypted. It must have an `exp`, and a
 * `sub` that is a valid name (a whole number is taken as text), which becomes the principal's id.
 * `nbf` is respected. Refused are a critical header that is not understood and an algorithm the key
 * is not meant for; a key that the token brings along, or an address to fetch one from, is ignored.
 *
 * The keys that fit the token's `alg` and `kid` are tried in turn. Whatever is wrong with a token, the
 * answer is null; it throws only while keys that are needed cannot be fetched from `jwksUrl`.
 *
 * @throws ConfigurationError, TypeError or RangeError at once, if an option cannot be right
 */
export function jwtAuthenticator(options: JwtAuthenticatorOptions): Authenticator {
  checkPeer("jose", "jwtAuthenticator");
  checkOptions("jwtAuthenticator", options, JWT_OPTIONS);
  const { issuer, audience, clockSkewMs = 5_000, scopesClaim, now = Date.now } = options;
  if (!(clockSkewMs >= 0 && clockSkewMs <= MAX_CLOCK_SKEW_MS)) {
    throw new RangeError(`clockSkewMs is ${clockSkewMs}; allowed is 0 to ${MAX_CLOCK_SKEW_MS}.`);
  }
  const keysFor = trustedKeys(options, now);
  const rules: JWTVerifyOptions = {
    requiredClaims: ["sub", "exp"],
    clockTolerance: clockSkewMs / 1000,
    ...(issuer !== undefined && { issuer: textList("issuer", issuer) }),
    ...(audience !== undefined && { audience: textList("audience", audience) }),
  };
  return async (_request, { token }) => {
    if (token === null) return null;
    const jose = await library();
    const hint = keyHint(jose, token);
    if (hint === null) return null;
    const keys = await keysFor(hint);
    const claims = await verify(jose, token, keys, { ...rules, currentDate: new Date(now()) });
    return claims && principalFrom(claims, scopesClaim);
  };
}

/** What the header of a signed token says of its key; null if this is no such token. */
function keyHint(jose: Jose, token: string): KeyHint | null {
  if (token.length > MAX_TOKEN_BYTES) return null;
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every(isBase64url)) return null;
  const { alg, kid } = header(jose, token);
  const kidIsText = kid === undefined || typeof kid === "string";
  return typeof alg === "string" && kidIsText ? { alg, kid } : null;
}

function header(jose: Jose, token: string): ProtectedHeaderParameters {
  try {
    return jose.decodeProtectedHeader(token);
  } catch {
    return {};
  }
}

/** RFC 7515 section 2: no padding, no white space; and only one way to write the same bytes. */
function isBase64url(text: string): boolean {
  return Buffer.from(text, "base64url").toString("base64url") === text;
}

async function verify(
  { jwtVerify, errors }: Jose,
  token: string,
  keys: readonly VerificationKey[],
  rules: JWTVerifyOptions,
): Promise<JWTPayload | null> {
  for (const { key, algorithms } of keys) {
    try {
      return (await jwtVerify(token, key, { ...rules, algorithms: [...algorithms] })).payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue;
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }
  return null;
}

function textList(option: string, value: string | readonly string[]): string[] {
  const list = [value].flat();
  if (list.length === 0 || list.some((text) => typeof text !== "string" || text === "")) {
    throw new ConfigurationError(
      `${option} must be a text, or a list of them, none of them empty.`,
    );
  }
  return list;
}

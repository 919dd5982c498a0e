import type { JWTPayload } from "jose";
import { isName } from "../protocol/names.ts";
import type { Principal } from "./authenticator.ts";

/** The latest time a `Date` can hold, in milliseconds since the epoch (ECMA-262 section 21.4.1.1). */
const MAX_TIME = 8.64e15;

/**
 * Who the verified claims of a JWT speak of, or null if they do not say it in a form we can use.
 *
 * @param scopesClaim the claim the scopes are in; if undefined they are in `scope` and `scopes`
 */
export function principalFrom(claims: JWTPayload, scopesClaim?: string): Principal | null {
  const id = subject(claims.sub);
  const scopes = scopesClaim === undefined ? usualScopes(claims) : scopeList(claims[scopesClaim]);
  const expiresAt = Math.floor(Number(claims.exp) * 1000);
  if (id === null || scopes === null || expiresAt > MAX_TIME) return null;
  return {
    id,
    ...(typeof claims.email === "string" && { email: claims.email }),
    scopes: [...new Set(scopes)].filter((scope) => scope !== ""),
    claims,
    via: "jwt",
    expiresAt,
  };
}

/** Issuers whose users have numbers write them as such, though RFC 7519 section 4.1.2 wants a string. */
function subject(sub: unknown): string | null {
  // An integer that is not safe may stand for its neighbour: another user.
  const id = Number.isSafeInteger(sub) ? String(sub) : sub;
  return isName(id) ? id : null;
}

/** `scope` is text (RFC 8693 section 4.2), `scopes` is text or a list. */
function usualScopes({ scope = "", scopes }: JWTPayload): readonly string[] | null {
  const listed = scopeList(scopes);
  return typeof scope === "string" && listed !== null ? [...scope.split(" "), ...listed] : null;
}

function scopeList(value: unknown = []): readonly string[] | null {
  if (typeof value === "string") return value.split(" ");
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : null;
}

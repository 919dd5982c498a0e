import type { Principal } from "./authenticator.ts";

/** Whether the principal holds all of the scopes. True for an empty list. */
export function hasScopes(principal: Principal, scopes: readonly string[]): boolean {
  return scopes.every((scope) => principal.scopes.includes(scope));
}

/** Whether the principal holds at least one of the scopes. False for an empty list. */
export function hasAnyScope(principal: Principal, scopes: readonly string[]): boolean {
  return scopes.some((scope) => principal.scopes.includes(scope));
}

/** Whether the principal is a person (a JWT or a session), not a program with an API key. */
export function isPerson(principal: Principal): boolean {
  return principal.via === "jwt" || principal.via === "session";
}

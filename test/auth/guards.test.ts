import { describe, expect, test } from "vitest";
import { hasAnyScope, hasScopes, isPerson, type Principal } from "../../src/auth.ts";

function principal(via: string, ...scopes: string[]): Principal {
  return { id: "alice", scopes, claims: {}, via };
}

describe("scopes", () => {
  const alice = principal("jwt", "read", "write");

  test("must all be held, where all are asked for", () => {
    expect(hasScopes(alice, ["read"])).toBe(true);
    expect(hasScopes(alice, ["write", "read"])).toBe(true);
    expect(hasScopes(alice, ["read", "admin"])).toBe(false);
    expect(hasScopes(alice, [])).toBe(true);
  });

  test("must be held at least in part, where any is asked for", () => {
    expect(hasAnyScope(alice, ["admin", "read"])).toBe(true);
    expect(hasAnyScope(alice, ["admin"])).toBe(false);
    expect(hasAnyScope(alice, [])).toBe(false);
  });

  test("count as they are written", () => {
    expect(hasScopes(alice, ["Read"])).toBe(false);
    expect(hasAnyScope(alice, ["rea", "read "])).toBe(false);
  });
});

describe("a person", () => {
  test("comes with a JWT or a session", () => {
    expect(isPerson(principal("jwt"))).toBe(true);
    expect(isPerson(principal("session"))).toBe(true);
  });

  test("does not come with an API key, or in a way we do not know", () => {
    expect(isPerson(principal("apiKey"))).toBe(false);
    expect(isPerson(principal("mtls"))).toBe(false);
  });
});

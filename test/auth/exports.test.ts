import { expect, test } from "vitest";
import * as auth from "../../src/auth.ts";

test("roomcast/auth exports exactly what is documented", () => {
  expect(Object.keys(auth).sort()).toEqual([
    "apiKeyAuthenticator",
    "extractToken",
    "hasAnyScope",
    "hasScopes",
    "isPerson",
    "jwtAuthenticator",
    "redactUrl",
  ]);
});

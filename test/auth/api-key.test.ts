import { describe, expect, test } from "vitest";
import { apiKeyAuthenticator } from "../../src/auth.ts";
import { ask } from "../support/tokens.ts";

const first = "a-first-key-of-some-length";
const second = "a-second-key-of-some-length";
const backend = { id: "backend", scopes: ["publish"] };

describe("an API key", () => {
  test("of a list stands for one program without scopes", async () => {
    const authenticate = apiKeyAuthenticator({ keys: [first, second] });
    const principal = { id: "apiKey", scopes: [], claims: {}, via: "apiKey" };
    expect(await ask(authenticate, first)).toEqual(principal);
    expect(await ask(authenticate, second)).toEqual(principal);
  });

  test("of an object stands for its holder", async () => {
    const authenticate = apiKeyAuthenticator({
      keys: { [first]: backend, [second]: { id: "ci" } },
    });
    expect(await ask(authenticate, first)).toEqual({ ...backend, claims: {}, via: "apiKey" });
    expect(await ask(authenticate, second)).toMatchObject({ id: "ci", scopes: [] });
  });

  test("of a map stands for its holder", async () => {
    const authenticate = apiKeyAuthenticator({ keys: new Map([[first, backend]]) });
    expect(await ask(authenticate, first)).toMatchObject(backend);
  });

  test("that is looked up stands for its holder", async () => {
    const asked: string[] = [];
    const authenticate = apiKeyAuthenticator({
      keys: async (key, { signal }) => {
        signal.throwIfAborted();
        asked.push(key);
        return key === first ? backend : null;
      },
    });
    expect(await ask(authenticate, first)).toMatchObject(backend);
    expect(await ask(authenticate, second)).toBeNull();
    expect(asked).toEqual([first, second]);
  });

  test("may be taken from a holder while others stay", async () => {
    const keys = new Map([[first, backend]]);
    const authenticate = apiKeyAuthenticator({ keys: (key) => keys.get(key) ?? null });
    expect(await ask(authenticate, first)).toMatchObject(backend);
    keys.delete(first);
    expect(await ask(authenticate, first)).toBeNull();
  });

  const refused: Record<string, string | null> = {
    "if there is none": null,
    "if it is empty": "",
    "if it is unknown": "an-unknown-key-of-some-length",
    "if it only begins right": `${first}x`,
    "if it ends too early": first.slice(0, -1),
    "if it differs in case": first.toUpperCase(),
    "if it has white space around it": ` ${first}`,
    "if it is what objects inherit": "hasOwnProperty",
    "if it is what objects inherit, at length": "__lookupGetter__",
    "if it is huge": "x".repeat(8193),
    "if it is huge, counted in bytes": "ü".repeat(4097),
  };
  for (const [name, token] of Object.entries(refused)) {
    test(`is refused ${name}`, async () => {
      expect(await ask(apiKeyAuthenticator({ keys: { [first]: backend } }), token)).toBeNull();
    });
  }

  test("is not looked up if it is too short or too large to be one", async () => {
    const authenticate = apiKeyAuthenticator({ keys: () => backend });
    expect(await ask(authenticate, "x".repeat(15))).toBeNull();
    expect(await ask(authenticate, "x".repeat(8193))).toBeNull();
    expect(await ask(authenticate, "x".repeat(16))).toMatchObject(backend);
    expect(await ask(authenticate, "x".repeat(8192))).toMatchObject(backend);
  });

  test("that cannot be looked up is a fault, not a refusal", async () => {
    const fault = new Error("the database is away");
    const authenticate = apiKeyAuthenticator({ keys: () => Promise.reject(fault) });
    await expect(ask(authenticate, first)).rejects.toBe(fault);
  });

  test("whose holder has no valid name is a fault", async () => {
    const authenticate = apiKeyAuthenticator({ keys: () => ({ id: "{}" }) });
    await expect(ask(authenticate, first)).rejects.toThrow(RangeError);
  });

  test("must have at least 16 characters, and the error does not show it", () => {
    expect(() => apiKeyAuthenticator({ keys: [first, "hunter2"] })).toThrow(
      expect.objectContaining({
        name: "ConfigurationError",
        message: "keys has one of 7 characters; at least 16 are needed.",
      }),
    );
  });

  test("must have a holder with a valid name", () => {
    expect(() => apiKeyAuthenticator({ keys: { [first]: { id: "" } } })).toThrow(RangeError);
  });

  for (const keys of [[], {}, new Map<string, never>()]) {
    test(`must be given: ${keys.constructor.name}`, () => {
      expect(() => apiKeyAuthenticator({ keys })).toThrow(
        expect.objectContaining({ message: "keys must not be empty." }),
      );
    });
  }
});

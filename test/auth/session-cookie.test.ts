import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isPerson, type Principal } from "../../src/auth.ts";
import { type RequestReader, requestReader } from "../support/raw-request.ts";
import { type Session, sessionAuthenticator } from "../support/session-authenticator.ts";

const alice: Session = { userId: "alice", scopes: ["chat"], expiresAt: Date.now() + 3_600_000 };
const sessions = new Map<string, Session>([
  ["s1", alice],
  ["old", { ...alice, expiresAt: Date.now() - 1 }],
]);
const authenticate = sessionAuthenticator(async (id) => sessions.get(id) ?? null);
const origin = "Origin: https://app.example.org";

let reader: RequestReader;

beforeAll(async () => {
  reader = await requestReader();
});

afterAll(() => reader.dispose());

async function come(token: string | null, ...headers: string[]): Promise<Principal | null> {
  const request = await reader.read("/ws", headers);
  if (request === null) throw new Error("Node refused the request");
  return authenticate(request, { token, signal: new AbortController().signal });
}

describe("the session cookie of the documentation", () => {
  test("is shown there as it is tested here", async () => {
    const page = await readFile(new URL("../../docs/authentication.md", import.meta.url), "utf8");
    const tested = new URL("../support/session-authenticator.ts", import.meta.url);
    const source = await readFile(tested, "utf8");
    const shown = /```ts\n.*\n\n(export interface Session[^`]*)```/.exec(page)?.[1];
    expect(source).toContain(shown);
  });

  test("says who a person is, and until when", async () => {
    const principal = await come(null, origin, "Cookie: theme=dark; __Host-session=s1; lang=en");
    const { userId, scopes, expiresAt } = alice;
    expect(principal).toEqual({ id: userId, scopes, claims: {}, via: "session", expiresAt });
    expect(principal !== null && isPerson(principal)).toBe(true);
  });

  test("may stand in a second header", async () => {
    const principal = await come(null, origin, "Cookie: a=b", "Cookie: __Host-session=s1");
    expect(principal).toMatchObject({ id: "alice" });
  });

  const refused: Record<string, readonly string[]> = {
    "is missing": [origin],
    "is empty": [origin, "Cookie: __Host-session="],
    "is unknown": [origin, "Cookie: __Host-session=s2"],
    "has expired": [origin, "Cookie: __Host-session=old"],
    "has another name": [origin, "Cookie: x__Host-session=s1"],
    "comes without an Origin": ["Cookie: __Host-session=s1"],
  };
  for (const [name, headers] of Object.entries(refused)) {
    test(`is refused if it ${name}`, async () => {
      expect(await come(null, ...headers)).toBeNull();
    });
  }

  test("does not help a client that sends a token", async () => {
    expect(await come("expired", origin, "Cookie: __Host-session=s1")).toBeNull();
  });

  test("is a fault if the sessions cannot be looked up", async () => {
    const away = new Error("the session store is away");
    const request = await reader.read("/ws", [origin, "Cookie: __Host-session=s1"]);
    if (request === null) throw new Error("Node refused the request");
    const signal = new AbortController().signal;
    const faulty = sessionAuthenticator(() => Promise.reject(away));
    await expect(faulty(request, { token: null, signal })).rejects.toBe(away);
  });
});

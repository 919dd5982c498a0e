import type { Authenticator } from "../../src/auth.ts";

export interface Session {
  readonly userId: string;
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export function sessionAuthenticator(
  findSession: (id: string, signal: AbortSignal) => Promise<Session | null>,
): Authenticator {
  return async (request, { token, signal }) => {
    // Who sends a token is judged by it, and a browser always says which page it comes from.
    if (token !== null || request.headers.origin === undefined) return null;
    const id = readCookie(request.headers.cookie, "__Host-session");
    const session = id === null ? null : await findSession(id, signal);
    if (session === null || session.expiresAt <= Date.now()) return null;
    const { userId, scopes, expiresAt } = session;
    return { id: userId, scopes, claims: {}, via: "session", expiresAt };
  };
}

function readCookie(header = "", name: string): string | null {
  const cookies = header.split(";").map((cookie) => cookie.trim());
  const found = cookies.find((cookie) => cookie.startsWith(`${name}=`));
  return found === undefined ? null : found.slice(name.length + 1);
}

import type { IncomingMessage } from "node:http";
import type { Authenticator } from "../auth/authenticator.ts";
import { extractToken } from "../auth/extract-token.ts";

/** What a page needs to know before it connects: a browser does not tell it why a handshake was refused. */
export interface Access {
  /** Whether `/ws` needs a token. */
  readonly token: boolean;
  /** Whether the token that came with the question is good; null: there was none, or it could not be checked. */
  readonly valid: boolean | null;
}

/** How long checking a token may take, in milliseconds. */
const TIMEOUT_MS = 5000;

/** Answers whether `/ws` would let somebody in. `authenticate` null: nobody is authenticated. */
export async function accessOf(
  request: IncomingMessage,
  authenticate: Authenticator | null,
): Promise<Access> {
  if (authenticate === null) return { token: false, valid: null };
  try {
    const { token } = extractToken(request, { query: false });
    if (token === null) return { token: true, valid: null };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const principal = await authenticate(request, { token, signal });
    return { token: true, valid: principal !== null };
  } catch {
    return { token: true, valid: null };
  }
}

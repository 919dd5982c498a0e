import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { extractToken, MAX_TOKEN_BYTES } from "../auth/extract-token.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import type { Refusal } from "./handshake.ts";

/** What every answer of 503 carries: the time in seconds after which to try again. */
export const RETRY_LATER: Refusal = { status: 503, headers: { "Retry-After": "5" } };

/** The same for every cause (RFC 6750 section 3). */
const UNAUTHORIZED: Refusal = { status: 401, headers: { "WWW-Authenticate": "Bearer" } };
const BAD_REQUEST: Refusal = { status: 400 };

/** What is wrong with the request itself, not with who sent it. */
const BAD_REQUEST_CODES: ReadonlySet<string> = new Set(["conflicting_credentials", "bad_request"]);

export interface Authentication {
  readonly authenticators: readonly Authenticator[];
  /** How long they may take together, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether somebody without a credential may come in. */
  readonly optional: boolean;
  /** Told why the check itself failed. */
  readonly report: (error: unknown) => void;
}

/** Who a request comes from: a principal, null for an anonymous client, or why it is refused. */
export type Verdict = { readonly principal: Principal | null } | { readonly refusal: Refusal };

/** Asks the authenticators in turn who sent a request. Never rejects. */
export async function authenticate(
  request: IncomingMessage,
  socket: Duplex,
  authentication: Authentication,
): Promise<Verdict> {
  try {
    const { token } = extractToken(request);
    const principal = await ask(request, socket, token, authentication);
    const anonymous = authentication.optional && token === null;
    return principal === null && !anonymous ? { refusal: UNAUTHORIZED } : { principal };
  } catch (error) {
    if (error instanceof AuthenticationError) {
      return { refusal: BAD_REQUEST_CODES.has(error.code) ? BAD_REQUEST : UNAUTHORIZED };
    }
    if (!socket.destroyed) authentication.report(error);
    return { refusal: RETRY_LATER };
  }
}

/** Asks them about a fresh token of a client that is connected. Rejects if it could not be checked. */
export async function reauthenticate(
  request: IncomingMessage,
  socket: Duplex,
  token: string,
  authentication: Authentication,
): Promise<Principal | null> {
  if (Buffer.byteLength(token) > MAX_TOKEN_BYTES) return null;
  try {
    return await ask(request, socket, token, authentication);
  } catch (error) {
    if (error instanceof AuthenticationError) return null;
    throw error;
  }
}

async function ask(
  request: IncomingMessage,
  socket: Duplex,
  token: string | null,
  { authenticators, timeoutMs }: Authentication,
): Promise<Principal | null> {
  const giveUp = new AbortController();
  const gone = (): void => giveUp.abort(new Error("The client has gone."));
  const late = (): void =>
    giveUp.abort(new Error(`Authentication took more than ${timeoutMs} ms.`));
  socket.once("close", gone);
  const timer = setTimeout(late, timeoutMs);
  try {
    const asked = askInTurn(authenticators, request, token, giveUp.signal);
    const principal = await Promise.race([asked, aborted(giveUp.signal)]);
    if (principal !== null) checkName("user", principal.id);
    return principal;
  } finally {
    clearTimeout(timer);
    socket.off("close", gone);
  }
}

async function askInTurn(
  authenticators: readonly Authenticator[],
  request: IncomingMessage,
  token: string | null,
  signal: AbortSignal,
): Promise<Principal | null> {
  for (const authenticator of authenticators) {
    const principal = await authenticator(request, { token, signal });
    if (principal !== null) return principal;
  }
  return null;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

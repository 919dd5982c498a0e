import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { AuthenticationContext, Authenticator, Principal } from "../auth/authenticator.ts";
import { extractToken, MAX_TOKEN_BYTES } from "../auth/extract-token.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import { isThenable } from "../protocol/thenable.ts";
import type { Refusal } from "./request/handshake.ts";

/** What every answer of 503 carries: the time in seconds after which to try again. */
export const RETRY_LATER = { status: 503, headers: { "Retry-After": "5" } } as const;

/** The same for every cause (RFC 6750 section 3). */
const UNAUTHORIZED: Refusal = {
  status: 401,
  headers: { "WWW-Authenticate": "Bearer" },
  reason: "no_credential",
};
const BAD_REQUEST: Refusal = { status: 400, reason: "bad_credential" };
const UNCHECKED: Refusal = { ...RETRY_LATER, reason: "unavailable" };

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

/** Asks the authenticators in turn who sent a request; at once where they know at once. Never throws or rejects. */
export function authenticate(
  request: IncomingMessage,
  socket: Duplex,
  authentication: Authentication,
): Verdict | Promise<Verdict> {
  const refused = (error: unknown): Verdict => refusalFor(error, socket, authentication);
  try {
    const { token } = extractToken(request);
    const judge = (principal: Principal | null): Verdict => {
      const anonymous = authentication.optional && token === null;
      return principal === null && !anonymous ? { refusal: UNAUTHORIZED } : { principal };
    };
    const answer = ask(request, socket, token, authentication);
    return isThenable(answer) ? answer.then(judge).catch(refused) : judge(answer);
  } catch (error) {
    return refused(error);
  }
}

function refusalFor(error: unknown, socket: Duplex, authentication: Authentication): Verdict {
  if (error instanceof AuthenticationError) {
    return { refusal: BAD_REQUEST_CODES.has(error.code) ? BAD_REQUEST : UNAUTHORIZED };
  }
  if (!socket.destroyed) authentication.report(error);
  return { refusal: UNCHECKED };
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

/** Who asks, and until when; a signal is made only for those who want one. */
class Inquiry implements AuthenticationContext {
  readonly token: string | null;
  #controller: AbortController | null = null;
  #aborted: Error | null = null;

  constructor(token: string | null) {
    this.token = token;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== null) this.#controller.abort(this.#aborted);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }
}

/** Asks them in turn; nobody waits for those that know at once. */
function ask(
  request: IncomingMessage,
  socket: Duplex,
  token: string | null,
  { authenticators, timeoutMs }: Authentication,
): Principal | null | Promise<Principal | null> {
  const inquiry = new Inquiry(token);
  for (const [i, authenticator] of authenticators.entries()) {
    const answer = authenticator(request, inquiry);
    if (isThenable(answer)) {
      const rest = authenticators.slice(i + 1);
      const asked = askInTurn(Promise.resolve(answer), rest, request, inquiry);
      return inTime(asked, socket, inquiry, timeoutMs).then(checkPrincipal);
    }
    if (answer !== null) return checkPrincipal(answer);
  }
  return null;
}

async function askInTurn(
  first: Promise<Principal | null>,
  rest: readonly Authenticator[],
  request: IncomingMessage,
  inquiry: Inquiry,
): Promise<Principal | null> {
  let principal = await first;
  for (const authenticator of rest) {
    if (principal !== null) break;
    principal = await authenticator(request, inquiry);
  }
  return principal;
}

/** Waits for an answer, until it is too late or the client has gone. */
async function inTime(
  asked: Promise<Principal | null>,
  socket: Duplex,
  inquiry: Inquiry,
  timeoutMs: number,
): Promise<Principal | null> {
  return new Promise((resolve, reject) => {
    const giveUp = (reason: Error): void => {
      inquiry.abort(reason);
      finish(() => reject(reason));
    };
    const gone = (): void => giveUp(new Error("The client has gone."));
    const late = (): void => giveUp(new Error(`Authentication took more than ${timeoutMs} ms.`));
    const timer = setTimeout(late, timeoutMs);
    socket.once("close", gone);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off("close", gone);
      settle();
    };
    asked.then(
      (principal) => finish(() => resolve(principal)),
      (error) => finish(() => reject(error)),
    );
  });
}

function checkPrincipal(principal: Principal | null): Principal | null {
  if (principal !== null) checkName("user", principal.id);
  return principal;
}

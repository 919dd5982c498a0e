import type { IncomingMessage } from "node:http";
import { checkOptions } from "../protocol/check-options.ts";
import { AuthenticationError } from "../protocol/errors.ts";

/** The longest token that is looked at, in bytes. */
export const MAX_TOKEN_BYTES: number = 8 * 1024;

/** Where a token was found. */
export type TokenSource = "query" | "authorization" | "subprotocol" | "apiKeyHeader";

/** Where to look for a token. */
export interface ExtractTokenOptions {
  /** Whether the query counts: it gets into logs and histories, so only where nothing else goes. Default true. */
  readonly query?: boolean;
}

/** What a request says about who is calling. */
export interface ExtractedToken {
  /** The token, or null if the request carries none. */
  readonly token: string | null;
  /** The first place it was found in, or null if there is none. */
  readonly source: TokenSource | null;
  /**
   * "bearer" if the client offered that subprotocol. Browsers give up unless one of those they
   * offered is selected, so select it if no other fits. Never answer with the token.
   */
  readonly subprotocol: "bearer" | null;
}

/**
 * Finds the token of a request. It may stand in the query (`token`), in `Authorization: Bearer`, in
 * the subprotocols (`["bearer", token]`, the only place besides the query that a browser can write
 * to) or in `X-API-Key`. A blank one counts as absent; the same token in two places is one.
 *
 * The token is unverified: this function only finds it.
 *
 * @throws AuthenticationError with code "conflicting_credentials" if two of them differ: answer 400,
 *   as RFC 6750 section 3.1 asks for. With its usual code if one is larger than 8 KiB: answer 401.
 */
export function extractToken(
  request: IncomingMessage,
  options: ExtractTokenOptions = {},
): ExtractedToken {
  checkOptions("extractToken", options, ["query"]);
  const { query: inQuery = true } = options;
  const authorization = valuesOf(request, "authorization");
  const apiKeys = valuesOf(request, "x-api-key");
  const protocols = offeredProtocols(request);

  const found: { token: string; source: TokenSource }[] = [];
  const take = (source: TokenSource, values: readonly string[]): void => {
    for (const value of values) {
      const token = value.trim();
      if (token !== "") found.push({ token, source });
    }
  };
  if (inQuery) take("query", queryTokens(request));
  take("authorization", authorization.map(bearerToken));
  take(
    "subprotocol",
    protocols.filter((_, index) => protocols[index - 1] === "bearer"),
  );
  take("apiKeyHeader", apiKeys);

  if (found.some(({ token }) => Buffer.byteLength(token) > MAX_TOKEN_BYTES)) {
    throw new AuthenticationError(`The token is larger than ${MAX_TOKEN_BYTES} bytes.`);
  }
  const { token, source } = found[0] ?? { token: null, source: null };
  if (found.some((other) => other.token !== token)) {
    throw new AuthenticationError("The request carries two different tokens.", {
      code: "conflicting_credentials",
    });
  }
  return { token, source, subprotocol: protocols.includes("bearer") ? "bearer" : null };
}

/** The tokens in the query of a request. Not by `new URL`, which throws at what a stranger may send. */
function queryTokens(request: IncomingMessage): readonly string[] {
  const [target = ""] = (request.url ?? "").split("#", 1);
  const start = target.indexOf("?");
  // Parsed only where there may be one, perhaps written in another way.
  if (start < 0 || !(target.includes("token", start) || target.includes("%", start))) return NONE;
  return new URLSearchParams(target.slice(start)).getAll("token");
}

/** The values of a header, one for each time it was sent; not by `headersDistinct`, which makes all of them. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): readonly string[] {
  let values: string[] | null = null;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [header = "", value = ""] = [rawHeaders[i], rawHeaders[i + 1]];
    if (header.length !== name.length || header.toLowerCase() !== name) continue;
    values ??= [];
    values.push(value);
  }
  return values ?? NONE;
}

const NONE: readonly string[] = [];

/** The token in an Authorization header; "" if its scheme is another. RFC 6750 section 2.1. */
function bearerToken(header: string): string {
  const scheme = header.slice(0, 6).toLowerCase();
  const rest = header.slice(6);
  // Without the gap it is a scheme whose name merely starts like this one.
  return scheme === "bearer" && rest.trimStart() !== rest ? rest : "";
}

/** The subprotocols in the order they were offered. RFC 6455 section 11.3.4. */
function offeredProtocols(request: IncomingMessage): string[] {
  const headers = valuesOf(request, "sec-websocket-protocol");
  return headers.flatMap((header) => header.split(",")).map((protocol) => protocol.trim());
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { BackplaneUnavailableError, MessageTooLargeError } from "../protocol/errors.ts";
import { parseJson } from "../protocol/json.ts";
import { HttpError } from "./http-error.ts";

/** Answers with JSON; `undefined` is an empty answer. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = value === undefined ? "" : JSON.stringify(value);
  response.writeHead(status, {
    ...(body !== "" && { "Content-Type": "application/json; charset=utf-8" }),
    ...(status !== 204 && { "Content-Length": Buffer.byteLength(body) }),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
  response.end(body);
}

/** Answers with what went wrong. Whether that was our fault, so that somebody should hear of it. */
export function sendError(response: ServerResponse, error: unknown): boolean {
  const known = toHttpError(error);
  const { status, code, message, headers } =
    known ?? new HttpError(500, "internal_error", "Something went wrong here.");
  if (response.headersSent) response.destroy();
  else sendJson(response, status, { error: code, message }, headers);
  return known === null;
}

/**
 * Reads a body of at most `limit` bytes as JSON.
 *
 * @throws MessageTooLargeError as soon as there is more.
 * @throws HttpError if it is not JSON.
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > limit) throw new MessageTooLargeError(size, limit);
    chunks.push(chunk);
  }
  const result = parseJson(Buffer.concat(chunks).toString());
  if (!result.ok) throw new HttpError(400, result.code, result.message);
  return result.value;
}

function toHttpError(error: unknown): HttpError | null {
  if (error instanceof HttpError) return error;
  if (error instanceof MessageTooLargeError) {
    // What is left of the body is not read.
    const headers = { Connection: "close" };
    const allowed = `A body may have ${error.limit} bytes.`;
    return new HttpError(413, error.code, allowed, headers);
  }
  if (error instanceof BackplaneUnavailableError) {
    return new HttpError(503, error.code, error.message, { "Retry-After": "5" });
  }
  return null;
}

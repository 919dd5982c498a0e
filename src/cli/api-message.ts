import { isName } from "../protocol/names.ts";
import { HttpError } from "./http-error.ts";

/** A message as the HTTP API takes it. */
export interface ApiMessage {
  /** Any JSON value. */
  readonly data: unknown;
  /** Whom it is shown to come from. */
  readonly from?: string;
  readonly persist?: boolean;
}

/** Reads parsed JSON as a message. @throws HttpError naming the field that is wrong. */
export function readApiMessage(body: unknown): ApiMessage {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "bad_message", 'Send a JSON object such as {"data":"hello"}.');
  }
  const { data, from, persist }: { data?: unknown; from?: unknown; persist?: unknown } = body;
  if (data === undefined) throw bad("data is missing; it may be any JSON value.");
  if (from !== undefined && !isName(from)) {
    throw bad("from must be a string of 1 to 256 bytes without control characters, { or }.");
  }
  if (persist !== undefined && typeof persist !== "boolean") {
    throw bad("persist must be true or false.");
  }
  return { data, ...(from !== undefined && { from }), ...(persist !== undefined && { persist }) };
}

function bad(message: string): HttpError {
  return new HttpError(400, "bad_field", message);
}

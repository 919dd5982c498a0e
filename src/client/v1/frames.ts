import type { ReceivedMessage } from "../options.ts";
import { splitBinary } from "./message-frame.ts";

/** The fields of a frame, as somebody else filled them: each is read by one of the functions below. */
export interface IncomingFrame {
  readonly fields: Readonly<Record<string, unknown>>;
  /** What came with a binary frame. */
  readonly bytes: Uint8Array | undefined;
}

/** @throws SyntaxError or TypeError if it is no frame. */
export function parseFrame(frame: ReceivedMessage): IncomingFrame {
  const [header, bytes] = typeof frame === "string" ? [frame] : splitBinary(frame);
  return { fields: Object(JSON.parse(header)), bytes };
}

/** @throws TypeError if it is no text. */
export function text(field: unknown): string {
  if (typeof field === "string") return field;
  throw new TypeError("not a text");
}

/** @throws TypeError if it is there, and no text. */
export function textOrNone(field: unknown): string | undefined {
  return field === undefined || field === null ? undefined : text(field);
}

/** What is no number asks for nothing. */
export function number(field: unknown): number {
  return typeof field === "number" ? field : Number.NaN;
}

import type { ReadResult } from "../durable/history.ts";
import { parsed } from "../protocol/envelope.ts";

/** A page of history as JSON: `data` is what clients were sent, parsed where it was JSON. */
export function toJson({ messages, next }: ReadResult): {
  messages: { id: string; prev: string; data: unknown }[];
  next?: string;
} {
  return {
    messages: messages.map(({ id, prev, data }) => ({ id, prev, data: toData(data) })),
    ...(next === undefined ? {} : { next }),
  };
}

function toData(data: string | Uint8Array): unknown {
  return typeof data === "string" ? parsed(data) : Buffer.from(data).toString("base64");
}

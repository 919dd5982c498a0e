import type { ReadResult } from "../durable/history.ts";
import { parsed } from "../protocol/envelope.ts";
import { parsePosition } from "../protocol/position.ts";

interface JsonMessage {
  readonly id: string;
  readonly prev: string;
  readonly data: unknown;
}

interface JsonPage<M> {
  readonly messages: readonly M[];
  readonly next?: string;
}

/** A page of history as JSON: `data` is what clients were sent, parsed where it was JSON. */
export function toJson({ messages, next }: ReadResult): JsonPage<JsonMessage> {
  return {
    messages: messages.map(({ id, prev, data }) => ({ id, prev, data: toData(data) })),
    ...(next === undefined ? {} : { next }),
  };
}

/** The same, with when each message was stored, in milliseconds since the epoch: positions are opaque to clients. */
export function toTimedJson(page: ReadResult): JsonPage<JsonMessage & { readonly at?: number }> {
  const { messages, ...rest } = toJson(page);
  const timed = messages.map(({ data, ...place }) => {
    const position = parsePosition(place.id);
    return { ...place, ...(position !== null && { at: position.ms }), data };
  });
  return { ...rest, messages: timed };
}

function toData(data: string | Uint8Array): unknown {
  return typeof data === "string" ? parsed(data) : Buffer.from(data).toString("base64");
}

import type { ReadResult } from "../server/history.ts";

/** A page of history as JSON: `data` is what clients were sent, parsed where it was JSON. */
export function toJson({ messages, next }: ReadResult): {
  messages: { id: string; prev: string; data: unknown }[];
  next?: string;
} {
  return {
    messages: messages.map(({ id, prev, data }) => ({ id, prev, data: parsed(data) })),
    ...(next === undefined ? {} : { next }),
  };
}

function parsed(data: string | Uint8Array): unknown {
  if (typeof data !== "string") return Buffer.from(data).toString("base64");
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

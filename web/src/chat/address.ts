import { nameProblem } from "./session.ts";
import type { ConversationKey } from "./state.ts";

/** The address of a conversation within the page, such as `#room:lobby`: to be sent to others, and to come back to. */
export function addressOf(key: ConversationKey): string {
  const [kind = "", ...name] = key.split(":");
  return name.length === 0 ? `#${kind}` : `#${kind}:${encodeURIComponent(name.join(":"))}`;
}

/** The conversation an address stands for; undefined if it stands for none. */
export function conversationAt(address: string): ConversationKey | undefined {
  const [kind, ...rest] = address.replace(/^#/, "").split(":");
  if (kind === "everyone" && rest.length === 0) return kind;
  if ((kind !== "room" && kind !== "user") || rest.length === 0) return undefined;
  try {
    const name = decodeURIComponent(rest.join(":"));
    return nameProblem(name) === undefined ? `${kind}:${name}` : undefined;
  } catch {
    return undefined;
  }
}

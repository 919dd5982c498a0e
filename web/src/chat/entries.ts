import type { Said } from "./protocol.ts";
import { ENTRIES_KEPT, type Entry, type MessageEntry } from "./state.ts";

/** Adds a line at the end and forgets the oldest ones. */
export function append(entries: readonly Entry[], entry: Entry): Entry[] {
  return [...entries, entry].slice(-ENTRIES_KEPT);
}

export function messageEntry(said: Said, key: number): MessageEntry {
  return { kind: "message", key, ...said };
}

/** Whether two lines are the same message. Without an id, the same words of the same person are. */
function isSameMessage(a: MessageEntry, b: MessageEntry): boolean {
  if (a.from !== b.from) return false;
  return a.id !== undefined && b.id !== undefined ? a.id === b.id : a.text === b.text;
}

/**
 * Adds a message that has just arrived. One of ours that was waiting for it gives way; one whose
 * id is here already is the same message again.
 */
export function appendArrived(entries: readonly Entry[], arrived: MessageEntry): readonly Entry[] {
  const { id } = arrived;
  const known = (entry: Entry) =>
    id !== undefined && entry.kind === "message" && entry.id === id && entry.from === arrived.from;
  const ours = entries.find(known);
  if (ours === undefined) return append(entries, arrived);
  if (ours.kind !== "message" || !ours.pending) return entries;
  // The server's order is the one everybody sees, so the message moves to where it arrived.
  const rest = entries.filter((entry) => entry !== ours);
  return append(rest, { ...arrived, key: ours.key });
}

/** Notes that somebody came or went, in one line with the others who just did. */
export function appendPresence(
  entries: readonly Entry[],
  change: { user: string; here: boolean; key: number; at: number },
): Entry[] {
  const { user, here, key, at } = change;
  const last = entries.at(-1);
  const before = last?.kind === "presence" ? last : undefined;
  const line = before ?? { kind: "presence" as const, key, at, joined: [], left: [] };
  const others = (names: readonly string[]) => names.filter((name) => name !== user);
  // Who left and is back, or came and went, has not changed anything for the reader.
  const undone = (here ? line.left : line.joined).includes(user);
  const joined = others(line.joined).concat(here && !undone ? user : []);
  const left = others(line.left).concat(!here && !undone ? user : []);
  const rest = before ? entries.slice(0, -1) : entries;
  if (joined.length === 0 && left.length === 0) return [...rest];
  return append(rest, { ...line, joined, left });
}

/**
 * Puts the history of a room in place. What is known from it already is not shown twice; what came
 * in since `liveFrom` and is not in it is newer, everything else is older.
 */
export function mergeHistory(
  entries: readonly Entry[],
  history: readonly MessageEntry[],
  liveFrom: number,
): Entry[] {
  const unmatched = [...entries];
  const merged = history.map((message) => {
    const index = unmatched.findLastIndex(
      (entry) => entry.kind === "message" && isSameMessage(entry, message),
    );
    const [known] = index >= 0 ? unmatched.splice(index, 1) : [];
    return known?.kind === "message" ? keepKnown(message, known) : message;
  });
  const isNewer = (entry: Entry) =>
    entry.key >= liveFrom || (entry.kind === "message" && entry.pending === true);
  const older = unmatched.filter((entry) => !isNewer(entry));
  return [...older, ...merged, ...unmatched.filter(isNewer)].slice(-ENTRIES_KEPT);
}

/** The line keeps its key, so that it stays the same on the page, and the time we saw it at. */
function keepKnown(message: MessageEntry, known: MessageEntry): MessageEntry {
  const at = message.at ?? known.at;
  return { ...message, key: known.key, ...(at === undefined ? {} : { at }) };
}

import type { Entry, MessageEntry, NoticeEntry, PresenceEntry } from "./state.ts";

/** What the log shows: days, and messages of one sender that belong together. */
export type Line =
  | { kind: "day"; key: string; label: string }
  | { kind: "group"; key: string; from: string; at?: number; messages: MessageEntry[] }
  | PresenceEntry
  | NoticeEntry;

/** Messages further apart than this are not one group. */
const GROUP_MS = 5 * 60_000;

/** Arranges entries for reading. `now` decides what "Today" is. */
export function toLines(entries: readonly Entry[], now: number): Line[] {
  const lines: Line[] = [];
  let day = "";
  for (const entry of entries) {
    const label = entry.at === undefined ? day : dayLabel(entry.at, now);
    if (label !== day) lines.push({ kind: "day", key: `day ${entry.key}`, label });
    day = label;
    const last = lines.at(-1);
    if (entry.kind !== "message") lines.push(entry);
    else if (last?.kind === "group" && belongs(last.messages, entry)) last.messages.push(entry);
    else lines.push(newGroup(entry));
  }
  return lines;
}

function newGroup(entry: MessageEntry): Line {
  const group = { kind: "group" as const, key: `group ${entry.key}`, from: entry.from };
  return { ...group, messages: [entry], ...(entry.at === undefined ? {} : { at: entry.at }) };
}

function belongs(group: readonly MessageEntry[], entry: MessageEntry): boolean {
  const last = group.at(-1);
  if (last?.from !== entry.from) return false;
  return last.at === undefined || entry.at === undefined || entry.at - last.at < GROUP_MS;
}

function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** "Today", "Yesterday", or the date. */
export function dayLabel(at: number, now: number): string {
  const days = Math.round((startOfDay(now) - startOfDay(at)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return new Date(at).toLocaleDateString(undefined, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(sameYear ? {} : { year: "numeric" }),
  });
}

/** Such as 14:05, in the reader's way of writing it. */
export function timeLabel(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: "numeric", minute: "2-digit" });
}

const NAMES_SHOWN = 3;

function listNames(names: readonly string[]): string {
  if (names.length === 1) return names[0] ?? "";
  const shown = names.length > NAMES_SHOWN + 1 ? names.slice(0, NAMES_SHOWN) : names.slice(0, -1);
  const rest = names.length - shown.length;
  return `${shown.join(", ")} and ${rest > 1 ? `${rest} others` : names.at(-1)}`;
}

/** Such as "ann and bob joined, carl left". */
export function presenceSentence({ joined, left }: Pick<PresenceEntry, "joined" | "left">): string {
  return [
    ...(joined.length > 0 ? [`${listNames(joined)} joined`] : []),
    ...(left.length > 0 ? [`${listNames(left)} left`] : []),
  ].join(", ");
}

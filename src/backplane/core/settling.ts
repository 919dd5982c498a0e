import type { AsUserRecord, Change, Outcome, Subject } from "./change.ts";
import type { Record, Records } from "./records.ts";
import type { Waiting } from "./waiting.ts";

/** Whom it is told what came of a change for which nobody waits. None of these may throw. */
export interface SettlingObserver {
  changed(subject: Subject, came: boolean): void;
  asUser(change: AsUserRecord): void;
}

/**
 * Takes note of what a change of a record has come to: what is there now, who is told, and whether it has to be
 * changed again.
 */
export function settleRecord(
  record: Record,
  change: Change,
  outcome: Outcome,
  records: Records,
  waiting: Waiting,
  observer: SettlingObserver,
): void {
  const adding = change.type !== "remove";
  const waiter = record.waiter?.adding === adding ? record.waiter : null;
  const doubted = outcome.type === "member" && outcome.changed === null;
  // What was lost had been told when it was written first.
  const told = outcome.type === "member" && outcome.changed === true && !(adding && record.lost);
  const heard = waiting.has(waiter) && !doubted;
  const waits = waiting.has(record.waiter) && !(waiter !== null && doubted);
  if (heard || !waiting.has(record.waiter)) record.waiter = null;
  record.lost = false;
  record.doubted = doubted;
  record.stored = adding && outcome.type !== "failed" && !isRefused(outcome);
  if (isRefused(outcome) && heard) record.wanted = false;
  if (told && !heard) observer.changed(record.subject, adding);
  if (outcome.type === "member" && !heard) {
    for (const room of outcome.rooms) observer.asUser(room);
  }
  const sent = change.type === "add" && "value" in change ? change.value : record.value;
  const agrees = record.wanted === record.stored && sent === record.value;
  if (doubted) records.hold(record);
  else if ((waits && record.waiter !== null) || (!agrees && outcome.type !== "failed"))
    records.mark(record);
  else if (!record.stored && !record.wanted) records.delete(record);
  if (!heard) return;
  waiter.resolve(outcome.type === "member" ? { ...outcome, changed: told } : outcome);
}

function isRefused(outcome: Outcome): boolean {
  return outcome.type === "seat" && !outcome.granted;
}

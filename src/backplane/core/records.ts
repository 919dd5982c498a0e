import type { UserLimit } from "../contract/presence-store.ts";
import { type Change, recordId, type Subject } from "./change.ts";
import type { Waiter } from "./waiting.ts";

/** Something this instance states, and what the service knows of it. */
export interface Record {
  readonly id: string;
  readonly subject: Subject;
  /** Whether it is to be there. */
  wanted: boolean;
  /** Whether it is there, as far as this instance was told; and everybody was told that. */
  stored: boolean;
  /** It may have been lost, and is written again in silence. */
  lost: boolean;
  /** Whether it was new could not be said when it was written. */
  doubted: boolean;
  /** It was there in an earlier life, or was taken for granted while nobody could be asked. */
  old: boolean;
  value: string;
  limit: UserLimit | null;
  waiter: Waiter | null;
}

/** Everything an instance states. What differs from what the service knows is dirty. */
export class Records {
  readonly #all: Map<string, Record> = new Map();
  readonly #dirty: Set<string> = new Set();
  /** Removals that have to wait until it is sure who else holds the member. */
  readonly #held: Set<string> = new Set();
  #refreshing: Iterator<Record> | null = null;

  get size(): number {
    return this.#all.size;
  }

  /** Whether everything that may be written is. */
  get isClean(): boolean {
    return this.#dirty.size === 0;
  }

  get hasHeld(): boolean {
    return this.#held.size > 0;
  }

  get(subject: Subject): Record | undefined {
    return this.#all.get(recordId(subject));
  }

  /** The record of a subject, made when it is missing. */
  open(subject: Subject): Record {
    const id = recordId(subject);
    const found = this.#all.get(id);
    if (found !== undefined) return found;
    const fresh = { wanted: false, stored: false, lost: false, doubted: false, old: false };
    const record: Record = { id, subject, ...fresh, value: "", limit: null, waiter: null };
    this.#all.set(id, record);
    return record;
  }

  values(): Iterable<Record> {
    return this.#all.values();
  }

  mark(record: Record): void {
    this.#dirty.add(record.id);
  }

  delete(record: Record): void {
    this.#all.delete(record.id);
    this.#dirty.delete(record.id);
    this.#held.delete(record.id);
  }

  clear(): void {
    this.#all.clear();
    this.#dirty.clear();
    this.#held.clear();
  }

  /** Takes out what is to be written now, at most so many. `holding`: who is gone is told later. */
  take(
    most: number,
    holding: boolean,
    removalsOnly: boolean,
  ): { record: Record; change: Change }[] {
    const taken: { record: Record; change: Change }[] = [];
    for (const id of this.#dirty) {
      if (taken.length === most) break;
      const record = this.#all.get(id);
      const change = record === undefined ? null : toChange(record);
      if (record === undefined || change === null) {
        this.#dirty.delete(id);
        record?.waiter?.resolve(null);
        if (record !== undefined && !record.stored && !record.wanted) this.#all.delete(id);
        continue;
      }
      if (removalsOnly && change.type !== "remove") continue;
      this.#dirty.delete(id);
      if (holding && mayNotBeSaid(record, change)) {
        this.#held.add(id);
        if (change.type === "remove") record.waiter?.resolve(null);
      } else taken.push({ record, change });
    }
    return taken;
  }

  /** It is to be written when what was held back is. */
  hold(record: Record): void {
    this.#held.add(record.id);
  }

  /** What was held back may be written. */
  unhold(): void {
    for (const id of this.#held) this.#dirty.add(id);
    this.#held.clear();
  }

  /** The service may have lost what it was told: it is told again, in silence. */
  lost(): void {
    this.unhold();
    for (const record of this.#all.values()) {
      record.old = true;
      // Who was in doubt was not told of yet.
      if (record.stored) record.lost = !record.doubted;
      if (record.doubted) record.stored = false;
      record.doubted = false;
      this.#dirty.add(record.id);
    }
  }

  /** The others were told that nothing of this is there: it is told again, as new. */
  lapsed(): void {
    this.unhold();
    for (const record of [...this.#all.values()]) {
      record.stored = false;
      record.lost = false;
      record.doubted = false;
      record.old = true;
      if (record.wanted) this.#dirty.add(record.id);
      else this.delete(record);
    }
  }

  /** Writes some again that have been there for long, so that what expires does not. */
  refresh(count: number): void {
    this.#refreshing ??= this.#all.values();
    for (let i = 0; i < count; i++) {
      const next = this.#refreshing.next();
      if (next.done) {
        this.#refreshing = null;
        return;
      }
      const record = next.value;
      if (!record.stored || !record.wanted || record.doubted) continue;
      record.lost = true;
      record.old = true;
      this.#dirty.add(record.id);
    }
  }
}

/** Whether what this comes to depends on what others hold. */
function mayNotBeSaid({ subject }: Record, { type }: Change): boolean {
  return type === "judge" || (type === "remove" && subject.kind === "member");
}

/** What makes the service agree with the record; null: nothing does. */
function toChange(record: Record): Change | null {
  const { subject, wanted, stored, lost, old, value, limit } = record;
  if (record.doubted && subject.kind === "member") return { type: "judge", subject };
  if (!wanted && !lost) return stored ? { type: "remove", subject } : null;
  switch (subject.kind) {
    case "member":
      return { type: "add", subject, value, lost };
    case "claim":
      return { type: "add", subject, restored: old };
    default:
      return { type: "add", subject, limit: old ? null : limit };
  }
}

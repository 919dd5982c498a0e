import type { Ledger } from "../../core/ledger.ts";
import type { Keys } from "../keys.ts";
import { inTime } from "../net/run.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { EmptyRedisError, type Reads } from "./reads.ts";

/** What falls into one bucket: it has leases of its own, and is written and read by itself. */
export interface Bucket {
  readonly keys: BucketKeys;
  /** What this instance holds there. */
  readonly own: Ledger;
  /** What the living hold there. */
  readonly reads: Reads;
}

/** Where what is known of users, rooms and connections lies. Alone, Redis has one bucket. */
export class Buckets {
  readonly all: readonly Bucket[];
  readonly #keys: Keys;

  constructor(keys: Keys, all: readonly Bucket[]) {
    this.#keys = keys;
    this.all = all;
  }

  ofUser(user: string): Bucket {
    return this.at(this.#keys.bucketFor(`user:${user}`));
  }

  ofRoom(room: string): Bucket {
    return this.at(this.#keys.bucketFor(`room:${room}`));
  }

  ofConnection(id: string): Bucket {
    return this.at(this.#keys.bucketFor(`connection:${id}`));
  }

  at(bucket: number): Bucket {
    const found = this.all[bucket];
    if (found === undefined) throw new RangeError(`There is no bucket ${bucket}.`);
    return found;
  }
}

export function count(bucket: Bucket, place: string): Promise<number> {
  return readFrom(bucket, ({ reads }) => reads.count(place));
}

export async function* list(bucket: Bucket, place: string): AsyncGenerator<string> {
  const members = await readFrom(bucket, async ({ reads }) => {
    const iterator = reads.list(place);
    return { first: await iterator.next(), iterator };
  });
  if (members.first.done) return;
  yield members.first.value;
  yield* members.iterator;
}

/** Reads once this instance has told Redis everything. */
export async function readFrom<T>(
  bucket: Bucket,
  read: (bucket: Bucket) => Promise<T>,
): Promise<T> {
  const { own } = bucket;
  await inTime(own.complete());
  try {
    return await read(bucket);
  } catch (error) {
    if (!(error instanceof EmptyRedisError)) throw error;
  }
  await own.lease.beat();
  await inTime(own.complete());
  return read(bucket);
}

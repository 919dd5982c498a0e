import { randomBytes } from "node:crypto";
import {
  type AsUserRecord,
  type Change,
  ONLINE,
  type Outcome,
  type Subject,
  subjectOf,
} from "../../core/change.ts";
import {
  type Applied,
  type Batch,
  type Beat,
  type Identity,
  type LedgerStore,
  StoreFullError,
} from "../../core/ledger-store.ts";
import { batches } from "../batches.ts";
import { isReply, type Scripts } from "../net/run.ts";
import { APPLY, RELEASE } from "./apply-script.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { BEAT, COMPLETE, DROP, LAPSE } from "./lease-scripts.ts";
import { ROOMS } from "./read-scripts.ts";
import { scan } from "./scan.ts";

/** How long what nobody renews is kept, in milliseconds: everything is renewed once a day. */
const KEEP_MS = 172_800_000;
/** How long it is known that an incarnation was cleared away, in milliseconds. */
const BURIED_MS = 3_600_000;
/** How many users are asked about in one command. */
const AT_A_TIME = 500;

/** The ledgers of one bucket, in Redis. */
export class RedisLedgerStore implements LedgerStore {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #leaseMs: string;

  constructor(scripts: Scripts, keys: BucketKeys, leaseMs: number) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#leaseMs = String(leaseMs);
  }

  async beat(writer: Identity, confirmed: number, peers: number): Promise<Beat> {
    const { instances, cluster, owners, buried, doubts, told } = this.#keys;
    const own = this.#keys.records(writer.incarnation);
    const keys = [instances, cluster, owners, buried, own, doubts, told];
    const random = randomBytes(6).toString("base64url");
    const who = [writer.incarnation, ownerOf(writer), writer.generation];
    const numbers = [String(confirmed), String(KEEP_MS), String(peers), writer.run];
    const args = [this.#leaseMs, ...who, random, ...numbers];
    const reply = (await this.#scripts.run(BEAT, keys, args)) as BeatReply;
    const [status, generation, dead, nextEnd, unsureMs, now, number, answer, all] = reply;
    return {
      status,
      generation,
      dead: [...batches(dead, 2)].map(([incarnation, before]) => ({
        incarnation: String(incarnation),
        buried: before === 1,
      })),
      nextEndMs: nextEnd < 0 ? null : nextEnd,
      unsureMs,
      now,
      peers: all,
      last: { number, outcomesOf: (changes) => toOutcomes(changes, answer) },
    };
  }

  async complete({ incarnation, generation }: Identity): Promise<void> {
    const { cluster, doubts } = this.#keys;
    await this.#scripts.run(COMPLETE, [cluster, doubts], [incarnation, generation]);
  }

  async apply(writer: Identity, { number, of, changes }: Batch): Promise<Applied> {
    const { instances, cluster, owners, asUserChanges, doubts, told } = this.#keys;
    const { publishCommand, changesBase } = this.#keys;
    const whose = of ?? writer.incarnation;
    const records = this.#keys.records(whose);
    const keys = [instances, cluster, owners, records, asUserChanges, doubts, told];
    const who = [writer.incarnation, ownerOf(writer), writer.generation, String(number), whose];
    const args = [this.#leaseMs, ...who, publishCommand, changesBase, String(KEEP_MS)];
    for (const change of changes) this.#encode(change, keys, args);
    const frees = changes.every(({ type }) => type === "remove" || type === "judge");
    try {
      const reply = (await this.#scripts.run(frees ? RELEASE : APPLY, keys, args)) as string | null;
      if (reply === null) return "fenced";
      if (reply === "alive") return "alive";
      return toOutcomes(changes, reply);
    } catch (error) {
      if (isReply(error, "OOM")) throw new StoreFullError("Redis is full.", { cause: error });
      throw error;
    }
  }

  async *stored(incarnation: string): AsyncGenerator<readonly Subject[]> {
    for await (const page of scan(this.#scripts, "HSCAN", this.#keys.records(incarnation))) {
      const ids = page.filter((_, index) => index % 2 === 0);
      const subjects = ids.flatMap((id) => subjectOf(id) ?? []);
      if (subjects.length > 0) yield subjects;
    }
  }

  async drop(incarnation: string, dead: boolean): Promise<void> {
    const { instances, owners, buried, cluster } = this.#keys;
    const keys = [instances, owners, buried, cluster, this.#keys.records(incarnation)];
    await this.#scripts.run(DROP, keys, [incarnation, String(BURIED_MS), dead ? "1" : "0"]);
  }

  async lapse(incarnation: string, inMs: number): Promise<void> {
    const { instances, owners } = this.#keys;
    await this.#scripts.run(LAPSE, [instances, owners], [incarnation, inMs.toFixed()]);
  }

  async bury(incarnations: readonly string[]): Promise<void> {
    const fields = incarnations.flatMap((incarnation) => [incarnation, "-1\n"]);
    await this.#scripts.command(["HSET", this.#keys.buried, ...fields]);
    await this.#scripts.command(["PEXPIRE", this.#keys.buried, String(BURIED_MS)]);
  }

  async changedAsUser(since: number): Promise<readonly AsUserRecord[]> {
    const command = ["ZRANGEBYSCORE", this.#keys.asUserChanges, String(since), "+inf"] as const;
    const users = (await this.#scripts.command(command)) as string[];
    const changes: AsUserRecord[] = [];
    for (const some of batches(users, AT_A_TIME)) {
      const keys = some.map((user) => this.#keys.asUser(user));
      const found = (await this.#scripts.run(ROOMS, keys, [])) as string[][];
      found.forEach((fields, index) => {
        changes.push(...toRooms(some[index] ?? "", fields));
      });
    }
    return changes;
  }

  #encode(change: Change, keys: string[], args: string[]): void {
    if (change.type === "as-user") {
      const { user, room, joined, version } = change.change;
      keys.push(this.#keys.present(ONLINE), this.#keys.asUser(user));
      args.push("u", user, room, joined ? "+" : "-", String(version));
      return;
    }
    const { subject } = change;
    if (change.type === "judge") {
      args.push("?", change.subject.place, change.subject.member);
      return;
    }
    const adding = change.type === "add";
    switch (subject.kind) {
      case "member": {
        const { place, member } = subject;
        keys.push(this.#keys.present(place));
        const online = place === ONLINE;
        if (online) keys.push(this.#keys.asUser(member));
        const value = "value" in change ? [change.value, change.lost ? "1" : "0"] : [];
        args.push(adding ? (online ? "O" : "+") : online ? "o" : "-", place, member, ...value);
        return;
      }
      case "claim":
        keys.push(this.#keys.connection(subject.id));
        if ("restored" in change) args.push("c", subject.id, change.restored ? "1" : "0");
        else args.push("C", subject.id);
        return;
      default: {
        const { user, connection } = subject;
        keys.push(this.#keys.seats(user));
        if (!("limit" in change)) args.push("S", user, connection);
        else {
          const { max = "", whenFull = "" } = change.limit ?? {};
          args.push("s", user, connection, String(max), whenFull);
        }
      }
    }
  }
}

type BeatReply = [
  status: "kept" | "emptied" | "lapsed",
  generation: string,
  dead: (string | number)[],
  nextEnd: number,
  unsureMs: number,
  now: number,
  number: number,
  answer: string,
  peers: number,
];

/** A session and an instance, as they are stored. */
function ownerOf({ session, instance }: Identity): string {
  return `${session} ${instance}`;
}

/** The instance id in an owner. */
export function instanceOf(owner: string): string {
  return owner.slice(owner.indexOf(" ") + 1);
}

/** A line for each change. */
function toOutcomes(changes: readonly Change[], answer: string): Outcome[] {
  const lines = answer.split("\n");
  return changes.map((change, index) => toOutcome(change, lines[index] ?? ""));
}

function toOutcome(change: Change, line: string): Outcome {
  if (line.startsWith("E")) return { type: "failed", error: new Error(line.slice(1)) };
  const [first = "", ...rest] = line.split("\t");
  const changed = first === "?" ? null : first === "1";
  if (change.type === "as-user") {
    return { type: "as-user", changed, version: Number(rest[0]), holders: Number(rest[1] ?? 0) };
  }
  const { subject } = change;
  switch (subject.kind) {
    case "claim":
      return { type: "claim", before: line === "" ? null : instanceOf(line) };
    case "seat":
      return { type: "seat", granted: first === "1", replaced: rest };
    default:
      return { type: "member", changed, rooms: toRooms(subject.member, rest) };
  }
}

/** Rooms and what holds of them by turns; the one without a name has the version of the last change. */
function toRooms(user: string, fields: readonly string[]): AsUserRecord[] {
  return [...batches(fields, 2)].flatMap(([room = "", state = ""]) => {
    if (room === "") return [];
    return [{ user, room, joined: state.startsWith("+"), version: Number(state.slice(1)) }];
  });
}

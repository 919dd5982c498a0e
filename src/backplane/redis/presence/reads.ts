import { BackplaneUnavailableError } from "../../../protocol/errors.ts";
import { batches } from "../batches.ts";
import type { Script, Scripts } from "../net/run.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { COUNT, FIND, HAS, LIST, LIVING, LOCATE } from "./read-scripts.ts";
import { instanceOf } from "./store.ts";

/** How much is asked for at a time. */
const PAGE = "500";
/** Incarnations may die between two questions; somebody clears them away. */
const ATTEMPTS = 5;

/** Redis was emptied, and nobody has told it anything yet. */
export class EmptyRedisError extends BackplaneUnavailableError {
  constructor() {
    super("Redis was emptied.", "not-stored");
  }
}

/** Who is where, as the living say: what the dead have left behind does not show. Rejects as `Scripts.run` does. */
export class Reads {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #leaseMs: string;
  /** Those whose records have to be taken off. */
  #dead: readonly string[] = [];

  constructor(scripts: Scripts, keys: BucketKeys, leaseMs: number) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#leaseMs = String(leaseMs);
  }

  async has(place: string, member: string): Promise<boolean> {
    const [found] = await this.#ask(HAS, place, [member, ""]);
    return found === 1;
  }

  async count(place: string): Promise<number> {
    const [count] = await this.#ask(COUNT, place, ["", ""]);
    if (count !== -2) return Number(count);
    let members = 0;
    for await (const _ of this.list(place)) members++;
    return members;
  }

  /** Members of the place, each once. */
  async *list(place: string): AsyncGenerator<string> {
    const seen = new Set<string>();
    let cursor = "0";
    do {
      const [next, ...members] = await this.#ask(LIST, place, [cursor, PAGE]);
      for (const member of members.map(String)) {
        if (seen.has(member)) continue;
        seen.add(member);
        yield member;
      }
      cursor = String(next);
    } while (cursor !== "0");
  }

  /** The living instances that hold the member, and what each says of it. */
  async find(place: string, member: string): Promise<{ instance: string; value: string }[]> {
    if (!(await this.has(place, member))) return [];
    const owners = await this.#living("all");
    const records = owners.map(([incarnation = ""]) => this.#keys.records(incarnation));
    if (records.length === 0) return [];
    const field = `m${place}\n${member}`;
    const values = (await this.#scripts.run(FIND, records, [field])) as (string | null)[];
    return owners.flatMap(([, owner = ""], index) => {
      const value = values[index];
      return typeof value === "string" ? [{ instance: instanceOf(owner), value }] : [];
    });
  }

  /** Those whose leases are not over, and which have not left, each once. */
  async instances(): Promise<readonly string[]> {
    const there = await this.#living("there");
    return [...new Set(there.map(([, owner = ""]) => instanceOf(owner)))];
  }

  /** The number of the last change of a place that was told; 0 for an empty one. */
  async lastTold(place: string): Promise<number> {
    const told = await this.#scripts.command(["HGET", this.#keys.told, place]);
    return Number(told ?? 0);
  }

  /** How many incarnations there are, those left out that have left. */
  async living(): Promise<number> {
    return (await this.#living("there")).length;
  }

  /** Incarnation and owner of each whose lease is not over; "there": which has not left users in grace. */
  async #living(which: "all" | "there"): Promise<string[][]> {
    const keys = [this.#keys.instances, this.#keys.cluster, this.#keys.owners];
    const args = [this.#leaseMs, which];
    const living = (await this.#scripts.run(LIVING, keys, args)) as string[] | null;
    if (living === null) throw new EmptyRedisError();
    return [...batches(living, 2)];
  }

  /** The instance that holds a connection id its caller chose. */
  async locate(id: string): Promise<string | null> {
    const { instances, cluster, owners } = this.#keys;
    const keys = [instances, cluster, owners, this.#keys.connection(id)];
    const owner = (await this.#scripts.run(LOCATE, keys, [this.#leaseMs])) as string | null;
    if (owner === null) throw new EmptyRedisError();
    return owner === "" ? null : instanceOf(owner);
  }

  /** Asks again, naming the dead, when Redis knows of others than this instance did. */
  async #ask(
    script: Script,
    place: string,
    args: readonly [string, string],
  ): Promise<(string | number)[]> {
    const { instances, cluster } = this.#keys;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const dead = this.#dead;
      const records = dead.map((incarnation) => this.#keys.records(incarnation));
      const keys = [instances, cluster, this.#keys.present(place), ...records];
      const all = [this.#leaseMs, place, ...args, ...dead];
      const reply = (await this.#scripts.run(script, keys, all)) as (string | number)[] | null;
      if (reply === null) throw new EmptyRedisError();
      const [status, ...rest] = reply;
      if (status === 0) return rest;
      this.#dead = rest.map(String);
    }
    throw new BackplaneUnavailableError("Instances die faster than one can ask.", "not-stored");
  }
}

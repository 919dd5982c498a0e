/** Answers of Redis: text is bytes, each a character of a string. */
export type Reply = string | number | null | Status | Failure | readonly Reply[];

export class Status {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export class Failure {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

type Zset = Map<string, number>;
export interface Entry {
  readonly id: string;
  readonly fields: readonly string[];
}
type Collection = Extract<Value, { type: "hash" | "set" | "zset" }>;
type Value =
  | { readonly type: "string"; value: string }
  | { readonly type: "hash"; readonly value: Map<string, string> }
  | { readonly type: "set"; readonly value: Set<string> }
  | { readonly type: "zset"; readonly value: Zset }
  | { readonly type: "stream"; readonly value: Entry[]; last: [ms: number, sequence: number] };

const OK = new Status("OK");
const WRONG = "WRONGTYPE Operation against a key holding the wrong kind of value";

class WrongType extends Error {}

/** What Redis refuses when it is full. */
export const NEEDS_MEMORY: ReadonlySet<string> = new Set(
  "SET INCRBY DECRBY HSET HSETNX HINCRBY SADD ZADD XADD".split(" "),
);

/** What Redis keeps, and the commands on it that we use, for a clock of the test's own. */
export class Keyspace {
  readonly #now: () => number;
  #values: Map<string, { value: Value; until: number | null }> = new Map();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Everything there is, to go back to. */
  snapshot(): () => void {
    const copy = new Map(
      [...this.#values].map(([key, { value, until }]) => [key, { value: cloned(value), until }]),
    );
    return () => {
      this.#values = new Map(
        [...copy].map(([key, { value, until }]) => [key, { value: cloned(value), until }]),
      );
    };
  }

  clear(): void {
    this.#values.clear();
  }

  keys(): string[] {
    return [...this.#values.keys()].filter((key) => this.#get(key) !== undefined).sort();
  }

  /** Everything, as plain values, to compare. */
  dump(): Record<string, unknown> {
    return Object.fromEntries(this.keys().map((key) => [key, plain(this.#get(key))]));
  }

  run(name: string, args: readonly string[]): Reply {
    try {
      return this.#run(name, args);
    } catch (error) {
      if (error instanceof WrongType) return new Failure(WRONG);
      throw error;
    }
  }

  #run(name: string, args: readonly string[]): Reply {
    const [key = "", a = "", b = ""] = args;
    const rest = args.slice(1);
    switch (name) {
      case "TIME": {
        const now = this.#now();
        const micros = Math.floor((now % 1000) * 1000);
        return [String(Math.floor(now / 1000)), String(micros)];
      }
      case "EXISTS":
        return args.filter((each) => this.#get(each) !== undefined).length;
      case "DEL":
        return args.filter((each) => this.#get(each) !== undefined && this.#values.delete(each))
          .length;
      case "TYPE":
        return new Status(this.#get(key)?.type ?? "none");
      case "PEXPIRE": {
        if (this.#get(key) === undefined) return 0;
        const found = this.#values.get(key);
        if (found !== undefined) found.until = this.#now() + Number(a);
        return 1;
      }
      case "GET":
        return this.#read(key, "string")?.value ?? null;
      case "SET":
        return this.#set(key, a, args.slice(2));
      case "INCRBY":
        return this.#increase(key, Number(a));
      case "DECRBY":
        return this.#increase(key, -Number(a));
      case "HGET":
        return this.#read(key, "hash")?.value.get(a) ?? null;
      case "HMGET": {
        const hash = this.#read(key, "hash")?.value;
        return rest.map((field) => hash?.get(field) ?? null);
      }
      case "HEXISTS":
        return this.#read(key, "hash")?.value.has(a) ? 1 : 0;
      case "HLEN":
        return this.#read(key, "hash")?.value.size ?? 0;
      case "HGETALL":
        return [...(this.#read(key, "hash")?.value ?? [])].flat();
      case "HSET": {
        const hash = this.#write(key, "hash").value;
        const before = hash.size;
        for (let i = 0; i < rest.length; i += 2) hash.set(rest[i] ?? "", rest[i + 1] ?? "");
        return hash.size - before;
      }
      case "HSETNX": {
        const hash = this.#write(key, "hash").value;
        if (hash.has(a)) return 0;
        hash.set(a, b);
        return 1;
      }
      case "HINCRBY": {
        const hash = this.#write(key, "hash").value;
        const before = hash.get(a) ?? "0";
        if (!/^-?\d+$/.test(before)) return new Failure("ERR hash value is not an integer");
        const value = Number(before) + Number(b);
        hash.set(a, String(value));
        return value;
      }
      case "HDEL":
        return this.#remove(key, "hash", rest);
      case "SADD": {
        const set = this.#write(key, "set").value;
        const before = set.size;
        for (const member of rest) set.add(member);
        return set.size - before;
      }
      case "SREM":
        return this.#remove(key, "set", rest);
      case "SCARD":
        return this.#read(key, "set")?.value.size ?? 0;
      case "SMEMBERS":
        return [...(this.#read(key, "set")?.value ?? [])];
      case "HSCAN": {
        const hash = this.#read(key, "hash")?.value ?? new Map<string, string>();
        const { cursor, page } = scanned(hash.keys(), a, args);
        return [cursor, page.flatMap((field) => [field, hash.get(field) ?? ""])];
      }
      case "SSCAN": {
        const { cursor, page } = scanned(this.#read(key, "set")?.value ?? [], a, args);
        return [cursor, page];
      }
      case "ZADD":
        return this.#zadd(key, rest);
      case "ZREM":
        return this.#remove(key, "zset", rest);
      case "ZSCORE": {
        const score = this.#read(key, "zset")?.value.get(a);
        return score === undefined ? null : String(score);
      }
      case "ZCARD":
        return this.#read(key, "zset")?.value.size ?? 0;
      case "ZRANGE":
      case "ZRANGEBYSCORE":
        return this.#zrange(name, key, args);
      case "XADD":
        return this.#xadd(key, rest);
      case "XLEN":
        return this.#read(key, "stream")?.value.length ?? 0;
      case "XDEL":
        return this.#xdel(key, rest);
      case "MEMORY":
        // About what Redis says of a stream; nobody compares it.
        return JSON.stringify(this.#read(a, "stream")?.value ?? "").length;
      case "XRANGE":
      case "XREVRANGE":
        return this.#xrange(name, key, args);
      default:
        return new Failure(`ERR unknown command '${name}'`);
    }
  }

  #set(key: string, value: string, options: readonly string[]): Reply {
    const before = options.includes("GET") ? (this.#read(key, "string")?.value ?? null) : OK;
    if (options.includes("NX") && this.#get(key) !== undefined) {
      return options.includes("GET") ? before : null;
    }
    const px = options.indexOf("PX");
    const until = px < 0 ? null : this.#now() + Number(options[px + 1]);
    this.#values.set(key, { value: { type: "string", value }, until });
    return before;
  }

  #zadd(key: string, args: readonly string[]): Reply {
    const only = args[0] === "XX" ? "XX" : args[0] === "NX" ? "NX" : null;
    const pairs = only === null ? args : args.slice(1);
    if (only === "XX" && this.#get(key) === undefined) return 0;
    const zset = this.#write(key, "zset").value;
    let added = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      const member = pairs[i + 1] ?? "";
      if (zset.has(member) ? only === "NX" : only === "XX") continue;
      if (!zset.has(member)) added++;
      zset.set(member, Number(pairs[i]));
    }
    return added;
  }

  #zrange(name: string, key: string, args: readonly string[]): Reply {
    const zset = this.#read(key, "zset")?.value ?? new Map<string, number>();
    let sorted = [...zset].sort(([m, a], [n, b]) => a - b || (m < n ? -1 : 1));
    const [, from = "", to = ""] = args;
    if (name === "ZRANGEBYSCORE") {
      sorted = sorted.filter(([, score]) => above(score, from) && below(score, to));
      const limit = args.indexOf("LIMIT");
      const start = Number(args[limit + 1]);
      if (limit > 0) sorted = sorted.slice(start, start + Number(args[limit + 2]));
    } else {
      const at = (index: number): number => (index < 0 ? sorted.length + index : index);
      sorted = sorted.slice(at(Number(from)), at(Number(to)) + 1);
    }
    const scores = args.includes("WITHSCORES");
    return sorted.flatMap(([member, score]) => (scores ? [member, String(score)] : [member]));
  }

  #xadd(key: string, args: readonly string[]): Reply {
    const stream = this.#write(key, "stream");
    let at = 0;
    let most = Number.POSITIVE_INFINITY;
    if (args[0] === "MAXLEN") {
      most = Number(args[2]);
      at = 3;
    }
    const [lastMs, lastSequence] = stream.last;
    const ms = Math.max(Math.floor(this.#now()), lastMs);
    stream.last = [ms, ms === lastMs ? lastSequence + 1 : 0];
    const id = stream.last.join("-");
    stream.value.push({ id, fields: args.slice(at + 1) });
    // Redis trims whole nodes of 100; as much as that may stay.
    if (stream.value.length > most + 100) stream.value.splice(0, 100);
    return id;
  }

  #xdel(key: string, ids: readonly string[]): Reply {
    const stream = this.#read(key, "stream");
    if (stream === undefined) return 0;
    const rest = stream.value.filter(({ id }) => !ids.includes(id));
    const deleted = stream.value.length - rest.length;
    stream.value.splice(0, stream.value.length, ...rest);
    return deleted;
  }

  #increase(key: string, by: number): Reply {
    const found = this.#read(key, "string");
    const value = String(Number(found?.value ?? 0) + by);
    if (found === undefined) this.#set(key, value, []);
    else found.value = value;
    return Number(value);
  }

  #xrange(name: string, key: string, args: readonly string[]): Reply {
    const [, first = "", second = ""] = args;
    const [from, to] = name === "XRANGE" ? [first, second] : [second, first];
    const count = args.indexOf("COUNT");
    let entries = (this.#read(key, "stream")?.value ?? []).filter(
      ({ id }) => after(id, from) && after(to, id, true),
    );
    if (name === "XREVRANGE") entries = entries.reverse();
    if (count > 0) entries = entries.slice(0, Number(args[count + 1]));
    return entries.map(({ id, fields }) => [id, fields]);
  }

  #get(key: string): Value | undefined {
    const found = this.#values.get(key);
    if (found === undefined) return undefined;
    if (found.until === null || found.until > this.#now()) return found.value;
    this.#values.delete(key);
    return undefined;
  }

  #read<T extends Value["type"]>(key: string, type: T): Extract<Value, { type: T }> | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (value.type !== type) throw new WrongType();
    return value as Extract<Value, { type: T }>;
  }

  #write<T extends Exclude<Value["type"], "string">>(
    key: string,
    type: T,
  ): Extract<Value, { type: T }> {
    const found = this.#read(key, type);
    if (found !== undefined) return found;
    const value = fresh(type) as Extract<Value, { type: T }>;
    this.#values.set(key, { value, until: null });
    return value;
  }

  /** Removes from a collection; one that is empty is there no more. */
  #remove<T extends "hash" | "set" | "zset">(
    key: string,
    type: T,
    members: readonly string[],
  ): number {
    const found: Collection | undefined = this.#read(key, type);
    if (found === undefined) return 0;
    const removed = members.filter((member) => found.value.delete(member)).length;
    if (found.value.size === 0) this.#values.delete(key);
    return removed;
  }
}

function fresh(type: Value["type"]): Value {
  switch (type) {
    case "hash":
      return { type, value: new Map() };
    case "set":
      return { type, value: new Set() };
    case "zset":
      return { type, value: new Map() };
    case "stream":
      return { type, value: [], last: [0, 0] };
    default:
      return { type, value: "" };
  }
}

function cloned(value: Value): Value {
  return structuredClone(value);
}

function plain(value: Value | undefined): unknown {
  switch (value?.type) {
    case "hash":
      return Object.fromEntries([...value.value].sort());
    case "set":
      return [...value.value].sort();
    case "zset":
      return [...value.value].sort();
    default:
      return value?.value;
  }
}

/** A page of a set in an order that does not change with what is added or removed. */
function scanned(
  members: Iterable<string>,
  cursor: string,
  args: readonly string[],
): { cursor: string; page: string[] } {
  const count = Number(args[args.indexOf("COUNT") + 1] ?? 10);
  const placed = [...members]
    .map((member) => ({ member, place: placeOf(member) }))
    .filter(({ place }) => cursor === "0" || place >= Number(cursor))
    .sort((a, b) => a.place - b.place);
  let end = Math.min(count, placed.length);
  // Those in one place come together, as those of one bucket of Redis do.
  while (end > 0 && end < placed.length && placed[end]?.place === placed[end - 1]?.place) end++;
  const next = placed[end];
  const page = placed.slice(0, end).map(({ member }) => member);
  return { cursor: next === undefined ? "0" : String(next.place), page };
}

/** FNV-1a; never 0. */
function placeOf(member: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < member.length; i++) hash = Math.imul(hash ^ member.charCodeAt(i), 0x01000193);
  return (hash >>> 0) + 1;
}

function above(score: number, from: string): boolean {
  if (from === "-inf") return true;
  return from.startsWith("(") ? score > Number(from.slice(1)) : score >= Number(from);
}

function below(score: number, to: string): boolean {
  if (to === "+inf") return true;
  return to.startsWith("(") ? score < Number(to.slice(1)) : score <= Number(to);
}

/** Whether a stream id is at `from` or after it; `(` leaves that out. */
function after(id: string, from: string, reversed = false): boolean {
  if (from === "-" || id === "+") return true;
  const bound = reversed ? id : from;
  const exclusive = bound.startsWith("(");
  const [ms = 0, sequence = 0] = id.replace("(", "").split("-").map(Number);
  const [fromMs = 0, fromSequence = 0] = from.replace("(", "").split("-").map(Number);
  const difference = ms - fromMs || sequence - fromSequence;
  return exclusive ? difference > 0 : difference >= 0;
}

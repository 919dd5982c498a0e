import { EventEmitter } from "node:events";
import { ErrorReply, RESP_TYPES } from "@redis/client";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import type { Seeded } from "../../../src/testing/simulation/seeded.ts";
import type { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { Failure, Keyspace, NEEDS_MEMORY, type Reply, Status } from "./keyspace.ts";
import { Lua } from "./lua.ts";

/** How bytes travel, in milliseconds; bytes of a connection that was given up may take much longer. */
export interface Weather {
  readonly delay: readonly [min: number, max: number];
  readonly late: readonly [min: number, max: number];
  /** How likely it is that what was on its way of a lost connection still arrives. */
  readonly arrivesLate: number;
}

type Listener = (message: Buffer, channel: Buffer) => void;
interface Options {
  readonly typeMapping?: object;
}

/** Loaded once: scripts hold no state. */
const lua = new Lua();

/** A Redis in a test's own time, with everything that can go wrong with one. */
export class FakeRedis {
  readonly clock: VirtualClock;
  readonly random: Seeded;
  readonly keyspace: Keyspace;
  weather: Weather;
  /** Every command that was run, to look at. */
  onCommand: ((name: string, args: readonly string[], reply: Reply) => void) | null = null;
  readonly #clients: Set<FakeClient> = new Set();
  readonly #known: Set<string> = new Set();
  readonly #unreachable: Set<string> = new Set();
  #full = false;
  #run = 1;
  #hangsUntil = 0;
  /** What has arrived while it hangs, in order. */
  #arrived: (() => void)[] = [];

  constructor(clock: VirtualClock, random: Seeded, weather: Weather) {
    this.clock = clock;
    this.random = random;
    this.weather = weather;
    this.keyspace = new Keyspace(() => clock.now);
  }

  /** A client as an application would give us one; those that are duplicated of it belong to `owner`. */
  client(owner: string): Client {
    return new FakeClient(this, owner) as unknown as Client;
  }

  // What goes wrong

  /** The connections of an instance break; new ones can be made. */
  break(owner: string): void {
    for (const client of [...this.#clients]) if (client.owner === owner) client.broken();
  }

  cut(owner: string): void {
    this.#unreachable.add(owner);
    this.break(owner);
  }

  heal(owner: string): void {
    this.#unreachable.delete(owner);
  }

  /** Nothing is taken nor answered for so long, in milliseconds; everything is afterwards. */
  hang(ms: number): void {
    this.#hangsUntil = this.clock.now + ms;
    this.clock.after(ms, () => this.#goOn(), "network");
  }

  #goOn(): void {
    if (this.pause > 0) return;
    for (const take of this.#arrived.splice(0)) take();
  }

  /** FLUSHALL. */
  flush(): void {
    this.keyspace.clear();
  }

  /** It ends and begins again: with what `restore` brings back, or empty. */
  restart(restore?: () => void): void {
    for (const client of [...this.#clients]) client.broken();
    this.#known.clear();
    this.#run++;
    if (restore === undefined) this.keyspace.clear();
    else restore();
  }

  fill(full: boolean): void {
    this.#full = full;
  }

  // For clients

  isReachable(owner: string): boolean {
    return !this.#unreachable.has(owner);
  }

  connected(client: FakeClient): void {
    this.#clients.add(client);
  }

  gone(client: FakeClient): void {
    this.#clients.delete(client);
  }

  delay(): number {
    const [min, max] = this.weather.delay;
    return min + this.random.next() * (max - min);
  }

  /** The server looks at what has arrived as soon as it does not hang. */
  arrive(take: () => void): void {
    this.#goOn();
    if (this.pause > 0) this.#arrived.push(take);
    else take();
  }

  /** How long it goes on hanging, in milliseconds. */
  get pause(): number {
    return Math.max(0, this.#hangsUntil - this.clock.now);
  }

  execute(name: string, args: readonly string[], client: FakeClient | null): Reply {
    const reply = this.#execute(name, args, client);
    this.onCommand?.(name, args, reply);
    return reply;
  }

  #execute(name: string, args: readonly string[], client: FakeClient | null): Reply {
    switch (name) {
      case "PING":
        return new Status("PONG");
      case "INFO":
        return `redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\nrun_id:${this.#run}\r\n`;
      case "EVALSHA":
      case "EVAL":
        return this.#evaluate(name, args);
      case "PUBLISH":
      case "SPUBLISH":
        return this.#publish(args[0] ?? "", args[1] ?? "");
      case "SUBSCRIBE":
        for (const channel of args) client?.channels.add(channel);
        return args.length;
      case "UNSUBSCRIBE":
        for (const channel of args) client?.channels.delete(channel);
        return args.length;
      case "PUBSUB": {
        const [, channel = ""] = args;
        return [channel, [...this.#clients].filter(({ channels }) => channels.has(channel)).length];
      }
      case "WAIT":
        return Number(args[0]);
      default:
        if (this.#full && NEEDS_MEMORY.has(name)) return OOM;
        return this.keyspace.run(name, args);
    }
  }

  #evaluate(name: string, [script = "", count = "0", ...rest]: readonly string[]): Reply {
    if (name === "EVALSHA" && !this.#known.has(script)) {
      return new Failure("NOSCRIPT No matching script. Please use EVAL.");
    }
    const sha = name === "EVAL" ? lua.load(script) : script;
    this.#known.add(sha);
    const keys = rest.slice(0, Number(count));
    // As scriptVerifyOOM: only what a script writes first is refused, for it cannot be stopped midway.
    let refusing = this.#full && !lua.allowsOom(sha);
    return lua.run(sha, keys, rest.slice(Number(count)), ([command = "", ...args]) => {
      const upper = command.toUpperCase();
      if (refusing && NEEDS_MEMORY.has(upper)) return OOM;
      if (WRITES.has(upper)) refusing = false;
      if (upper === "PUBLISH" || upper === "SPUBLISH")
        return this.#publish(args[0] ?? "", args[1] ?? "");
      return this.keyspace.run(upper, args);
    });
  }

  #publish(channel: string, message: string): number {
    let receivers = 0;
    for (const client of this.#clients) {
      if (!client.channels.has(channel)) continue;
      receivers++;
      client.bring(Buffer.from(message, "latin1"), channel);
    }
    return receivers;
  }
}

const OOM = new Failure("OOM command not allowed when used memory > 'maxmemory'.");
const WRITES = new Set([...NEEDS_MEMORY, "DEL", "HDEL", "SREM", "ZREM", "XDEL", "PEXPIRE"]);

/** As much of a client of `@redis/client` as we use. */
class FakeClient extends EventEmitter {
  readonly owner: string;
  readonly options: object = {};
  /** As the server sees it. */
  readonly channels: Set<string> = new Set();
  readonly #server: FakeRedis;
  readonly #listeners: Map<string, Set<Listener>> = new Map();
  readonly #waiting: Map<number, (reason: Error) => void> = new Map();
  #open = false;
  #calls = 0;
  /** When the last bytes of either direction arrive: what follows comes after. */
  #lastUp = 0;
  #lastDown = 0;
  /** Nothing more of a lost connection arrives. */
  #lost = false;
  #lastLate = 0;

  constructor(server: FakeRedis, owner: string) {
    super();
    this.#server = server;
    this.owner = owner;
  }

  duplicate(): FakeClient {
    return new FakeClient(this.#server, this.owner);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  async connect(): Promise<void> {
    const server = this.#server;
    await server.clock.sleep(server.delay());
    await new Promise<void>((resolve) => server.arrive(resolve));
    if (!server.isReachable(this.owner)) throw new Error("connect ECONNREFUSED");
    this.#open = true;
    server.connected(this);
  }

  destroy(): void {
    this.#close();
  }

  /** The connection is lost, and both ends learn it. */
  broken(): void {
    if (!this.#open) return;
    this.#close();
    this.#server.clock.as(this.owner, () => {
      this.#server.clock.after(0, () => this.emit("error", new Error("Socket closed")));
    });
  }

  ping(): Promise<unknown> {
    return this.sendCommand(["PING"]);
  }

  publish(channel: string, message: Buffer): Promise<unknown> {
    return this.sendCommand(["PUBLISH", channel, message]);
  }

  sPublish(channel: string, message: Buffer): Promise<unknown> {
    return this.publish(channel, message);
  }

  subscribe(channels: readonly string[], listener: Listener): Promise<unknown> {
    for (const channel of channels) {
      const name = toBytes(channel);
      const listeners = this.#listeners.get(name) ?? new Set();
      this.#listeners.set(name, listeners.add(listener));
    }
    return this.sendCommand(["SUBSCRIBE", ...channels]);
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    await this.sendCommand(["UNSUBSCRIBE", ...channels]);
  }

  sSubscribe(channels: readonly string[], listener: Listener): Promise<unknown> {
    return this.subscribe(channels, listener);
  }

  sUnsubscribe(channels: readonly string[]): Promise<void> {
    return this.unsubscribe(channels);
  }

  sendCommand(command: readonly (string | Buffer)[], options: Options = {}): Promise<unknown> {
    if (!this.#open) return Promise.reject(new Error("The client is closed"));
    const [name = "", ...args] = command.map(toBytes);
    return new Promise((resolve, reject) => {
      const call = ++this.#calls;
      this.#waiting.set(call, reject);
      const { clock } = this.#server;
      this.#lastUp = Math.max(this.#lastUp, clock.now + this.#server.delay());
      clock.after(
        this.#lastUp - clock.now,
        () =>
          this.#server.arrive(() =>
            this.#arrive(name, args, (reply) => {
              if (!this.#waiting.delete(call)) return;
              if (reply instanceof Failure) reject(new ErrorReply(reply.message));
              else resolve(fromReply(reply, asBytes(options)));
            }),
          ),
        "network",
      );
    });
  }

  /** What the server sends without having been asked. */
  bring(message: Buffer, channel: string): void {
    this.#down(() => {
      for (const listener of this.#listeners.get(channel) ?? []) {
        listener(message, Buffer.from(channel, "latin1"));
      }
    });
  }

  #arrive(name: string, args: readonly string[], answer: (reply: Reply) => void): void {
    const server = this.#server;
    if (this.#open) {
      const reply = server.execute(name, args, this);
      this.#down(() => answer(reply));
      return;
    }
    // What still arrives of a lost connection is its beginning, in order.
    const { arrivesLate, late } = server.weather;
    if (this.#lost || !server.random.chance(arrivesLate)) {
      this.#lost = true;
      return;
    }
    if (name === "SUBSCRIBE" || name === "UNSUBSCRIBE") return;
    const { clock } = server;
    const delay = late[0] + server.random.next() * (late[1] - late[0]);
    this.#lastLate = Math.max(this.#lastLate, clock.now + delay);
    clock.after(this.#lastLate - clock.now, () => server.execute(name, args, null), "network");
  }

  /** On the way to the client, in the order it was sent; a frozen one takes it when it is back. */
  #down(work: () => void): void {
    const { clock } = this.#server;
    this.#lastDown = Math.max(this.#lastDown, clock.now + this.#server.delay());
    clock.after(
      this.#lastDown - clock.now,
      () => {
        if (this.#open) work();
      },
      this.owner,
    );
  }

  #close(): void {
    this.#open = false;
    this.#server.gone(this);
    this.channels.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const reject of waiting) reject(new Error("Socket closed unexpectedly"));
  }
}

function toBytes(text: string | Buffer): string {
  return (typeof text === "string" ? Buffer.from(text) : text).toString("latin1");
}

function asBytes({ typeMapping }: Options): boolean {
  return typeMapping !== undefined && RESP_TYPES.BLOB_STRING in typeMapping;
}

function fromReply(reply: Reply, bytes: boolean): unknown {
  if (reply === null || typeof reply === "number") return reply;
  if (typeof reply === "string") {
    const buffer = Buffer.from(reply, "latin1");
    return bytes ? buffer : buffer.toString();
  }
  if (reply instanceof Status) return reply.text;
  if (reply instanceof Failure) return new ErrorReply(reply.message);
  return reply.map((item) => fromReply(item, bytes));
}

import { BackplaneUnavailableError, QueueFullError } from "../../../protocol/errors.ts";
import {
  type DeadLetter,
  type DeadPage,
  IDEMPOTENCY_MS,
  type TaskConsumer,
  type TaskCounts,
  type TaskObserver,
  type TaskStore,
  type TaskTerms,
} from "../../contract/task-store.ts";
import type { Keys } from "../keys.ts";
import type { ClientFactory } from "../net/client-factory.ts";
import { clientsFor } from "../net/cluster-map.ts";
import { type Client, Connection } from "../net/connection.ts";
import { type Script, Scripts } from "../net/run.ts";
import { checkServer, explain } from "../net/start-checks.ts";
import { RedisTaskConsumer } from "./redis-task-consumer.ts";
import { type TaskKeys, taskKeys } from "./task-keys.ts";
import { ADD, COUNT, EXHUME } from "./task-scripts.ts";

/** A queue on Redis: a stream, a consumer group, and a stream of dead letters. Connects when first used. */
export class RedisTasks implements TaskStore {
  readonly #makeClient: () => Promise<Client>;
  readonly #prefix: string;
  readonly #sharded: boolean;
  readonly #keys: TaskKeys;
  readonly #terms: TaskTerms;
  readonly #observer: TaskObserver;
  readonly #commands: Connection;
  readonly #scripts: Scripts;
  /** What has been said since Redis was last there: an outage is told once, not at each attempt. */
  readonly #said: Set<string> = new Set();
  #started: Promise<void> | null = null;
  #closing = false;

  constructor(
    clients: ClientFactory,
    prefix: string,
    keys: Keys,
    terms: TaskTerms,
    observer: TaskObserver,
  ) {
    const entity = `tasks:${terms.queue}` as const;
    this.#makeClient = clientsFor(clients, keys, keys.bucketFor(entity));
    this.#prefix = prefix;
    this.#sharded = keys.sharded;
    this.#keys = taskKeys(keys.prefixOf(entity), terms.queue);
    this.#terms = terms;
    this.#observer = observer;
    this.#commands = new Connection(this.#makeClient, {
      up: (client) => this.#up(client),
      down: (reason) => this.#trouble(reason),
    });
    this.#scripts = new Scripts(
      () => this.#commands.client,
      (_key, answer) => this.#commands.rebuild(answer),
    );
  }

  async add(data: string, idempotencyKey: string | null): Promise<string> {
    const { queue, maxLength } = this.#terms;
    const keys = [this.#keys.stream];
    if (idempotencyKey !== null) keys.push(this.#keys.once(idempotencyKey));
    const id = await this.#run(ADD, keys, [data, String(maxLength), String(IDEMPOTENCY_MS)]);
    if (id === null) throw new QueueFullError(queue, maxLength);
    if (typeof id === "string") return id;
    throw new BackplaneUnavailableError("Redis gave an answer nobody understands.", "unknown");
  }

  async consume(): Promise<TaskConsumer> {
    await this.#start();
    const consumer = new RedisTaskConsumer(
      this.#makeClient,
      this.#scripts,
      this.#keys,
      this.#terms,
      { ...this.#observer, disconnected: (reason) => this.#trouble(reason) },
    );
    await consumer.start();
    return consumer;
  }

  async dead(since: string | null, limit: number): Promise<DeadPage> {
    await this.#start();
    const from = since === null ? "-" : `(${since}`;
    const count = String(limit + 1);
    const command = ["XRANGE", this.#keys.dead, from, "+", "COUNT", count] as const;
    const rows = (await this.#scripts.command(command)) as [entry: string, fields: string[]][];
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      letters: page.flatMap(([entry, fields]) => toLetter(entry, fields) ?? []),
      ...(rows.length > limit && last !== undefined ? { next: last[0] } : {}),
    };
  }

  retry(id: string): Promise<boolean> {
    return this.#exhume(id, true);
  }

  discard(id: string): Promise<boolean> {
    return this.#exhume(id, false);
  }

  async counts(): Promise<TaskCounts> {
    const { stream, dead, group } = this.#keys;
    const reply = await this.#run(COUNT, [stream, dead], [group]);
    const [length, inWork, letters, oldest] = reply as [number, number, number, string];
    return {
      // Somebody may have deleted entries that workers have.
      waiting: Math.max(0, length - inWork),
      inWork,
      dead: letters,
      oldest: oldest === "" ? null : millisecondsOf(oldest),
    };
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#started !== null) await this.#commands.stop();
  }

  async #exhume(id: string, again: boolean): Promise<boolean> {
    const { stream, dead, deadIndex } = this.#keys;
    const found = await this.#run(EXHUME, [stream, dead, deadIndex], [id, again ? "1" : "0"]);
    return found === 1;
  }

  async #run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    await this.#start();
    return this.#scripts.run(script, keys, args);
  }

  /** Resolves when connecting was tried once. */
  #start(): Promise<void> {
    this.#started ??= this.#commands.start();
    return this.#started;
  }

  async #up(client: Client): Promise<void> {
    const { warnings, replica } = await checkServer(client, this.#sharded);
    // One that takes no writes is an outage that goes on.
    if (!replica) this.#said.clear();
    for (const warning of warnings) this.#trouble(warning);
  }

  #trouble(error: unknown): void {
    if (this.#closing) return;
    const explained = explain(error, this.#prefix, this.#sharded);
    const message = String(explained);
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#observer.report(explained, "backplane");
  }
}

/** As the script wrote it; null for an entry that somebody else did. */
function toLetter(entry: string, fields: readonly string[]): DeadLetter | null {
  const [, id, , data, , attempts, , error] = fields;
  if (id === undefined || data === undefined || error === undefined) return null;
  return { id, data, attempts: Number(attempts), error, diedAt: millisecondsOf(entry) };
}

/** When an entry was written, by the clock of Redis. */
function millisecondsOf(entry: string): number {
  return Number.parseInt(entry, 10);
}

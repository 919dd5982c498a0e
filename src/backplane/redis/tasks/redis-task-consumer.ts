import { isUtf8 } from "node:buffer";
import { setTimeout as wait } from "node:timers/promises";
import { BackplaneUnavailableError, WebSocketError } from "../../../protocol/errors.ts";
import type {
  Holding,
  TaskConsumer,
  TaskDelivery,
  TaskObserver,
  TaskTerms,
} from "../../contract/task-store.ts";
import { BLOB_STRING } from "../net/client-library.ts";
import { type Client, Connection } from "../net/connection.ts";
import { inTime, isMisrouted, isReply, type Script, type Scripts } from "../net/run.ts";
import type { TaskKeys } from "./task-keys.ts";
import { ACKNOWLEDGE, EXTEND, FAIL, LEAVE, RELEASE, SWEEP, TIDY } from "./task-scripts.ts";

/** How long Redis holds a call for new tasks, in milliseconds: shorter than the watchdog's patience. */
const BLOCK_MS = 1000;
/** How often it is looked for abandoned tasks, in milliseconds. */
const SWEEP_EVERY_MS = 1000;
/** For how long nobody else does, in milliseconds: a little shorter, so that whoever did may do it again. */
const SWEEP_PAUSE_MS = 700;
/** How many visibility timeouts a consumer without tasks must be silent to be forgotten. */
const SILENT_VISIBILITIES = 2;
/** An unblocking that came before the call it was meant for is sent again, in milliseconds. */
const UNBLOCK_AGAIN_MS = 20;

type Entry = [entry: Buffer, fields: Buffer[]];

/** What a consumer tells its queue. */
interface ConsumerObserver extends TaskObserver {
  /** The connection for new tasks is gone; another one is on its way. */
  disconnected(reason: unknown): void;
}

/**
 * A worker's end of a queue on Redis. New tasks come over a connection of its own, on which Redis lets us
 * wait; everything else goes over the queue's.
 */
export class RedisTaskConsumer implements TaskConsumer {
  readonly #scripts: Scripts;
  readonly #keys: TaskKeys;
  readonly #terms: TaskTerms;
  readonly #observer: ConsumerObserver;
  readonly #connection: Connection;
  #clientId = "";
  /** The receipts of what was delivered here and is not known to be over. */
  readonly #held: Set<string> = new Set();
  /** An answer that may have brought tasks was lost. */
  #strays = false;
  /** Acknowledged in this turn, and the call that will tell Redis. */
  #done: string[] = [];
  #acknowledging: Promise<readonly Holding[]> | null = null;
  #sweepAt = 0;
  #tidyAt = 0;
  /** The group was there; if it no longer is, Redis has lost it. */
  #grouped = false;
  #leaving = false;

  constructor(
    makeClient: () => Promise<Client>,
    scripts: Scripts,
    keys: TaskKeys,
    terms: TaskTerms,
    observer: ConsumerObserver,
  ) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#terms = terms;
    this.#observer = observer;
    this.#connection = new Connection(makeClient, {
      up: async (client) => {
        this.#clientId = String(await client.sendCommand(["CLIENT", "ID"]));
      },
      down: (reason) => {
        if (!this.#leaving) observer.disconnected(reason);
      },
    });
  }

  /** Resolves when connecting was tried once. */
  start(): Promise<void> {
    return this.#connection.start();
  }

  async receive(count: number, stopping: AbortSignal): Promise<readonly TaskDelivery[]> {
    try {
      if (!this.#grouped) await this.#makeGroup();
      if (this.#strays) await this.#release();
      const now = performance.now();
      if (now >= this.#sweepAt) {
        const taken = await this.#sweep(count, now);
        if (taken.length > 0) return taken;
      }
      return stopping.aborted ? [] : await this.#read(count, stopping);
    } catch (error) {
      this.#strays = true;
      if (isMisrouted(error) || isDemoted(error)) {
        // Told once, when it is known what has become of the server.
        this.#connection.rebuild(error);
        const message = "This Redis is not the one to ask any more.";
        throw new BackplaneUnavailableError(message, "not-stored", { cause: error });
      }
      if (!isGroupMissing(error)) throw error;
      this.#groupLost();
      return [];
    }
  }

  async extend(receipts: readonly string[]): Promise<readonly Holding[]> {
    const holdings = await this.#each(EXTEND, receipts);
    receipts.forEach((receipt, i) => {
      if (holdings[i] !== "held") this.#held.delete(receipt);
    });
    return holdings;
  }

  /** Those of one turn go to Redis together: done tasks come in bursts. */
  async acknowledge(receipt: string): Promise<Holding> {
    this.#done.push(receipt);
    const index = this.#done.length - 1;
    this.#acknowledging ??= Promise.resolve().then(() => this.#acknowledgeAll());
    const holdings = await this.#acknowledging;
    this.#held.delete(receipt);
    return holdings[index] ?? "gone";
  }

  async fail(receipt: string, error: string, final: boolean): Promise<"waiting" | "dead" | "lost"> {
    const { maxDeliveries, maxDead } = this.#terms;
    const limits = [final ? 0 : maxDeliveries, maxDead].map(String);
    try {
      const reply = await this.#run(FAIL, ...partsOf(receipt), error, ...limits);
      this.#held.delete(receipt);
      return reply as "waiting" | "dead" | "lost";
    } catch (failure) {
      if (!isGroupMissing(failure)) throw failure;
      this.#held.delete(receipt);
      this.#groupLost();
      return "lost";
    }
  }

  async leave(): Promise<void> {
    this.#leaving = true;
    try {
      await this.#run(LEAVE, String(this.#terms.visibilityMs));
    } catch (error) {
      // Then there is nothing to hand back.
      if (!isGroupMissing(error)) throw error;
    } finally {
      await this.#connection.stop();
    }
  }

  #run(script: Script, ...args: readonly string[]): Promise<unknown> {
    return this.#scripts.run(script, this.#allKeys, [...this.#identity, ...args]);
  }

  get #allKeys(): string[] {
    const { stream, errors, dead, deadIndex } = this.#keys;
    return [stream, errors, dead, deadIndex];
  }

  get #identity(): string[] {
    return [this.#keys.group, this.#terms.consumer];
  }

  #acknowledgeAll(): Promise<readonly Holding[]> {
    const receipts = this.#done;
    this.#done = [];
    this.#acknowledging = null;
    return this.#each(ACKNOWLEDGE, receipts);
  }

  async #each(script: Script, receipts: readonly string[]): Promise<readonly Holding[]> {
    try {
      return (await this.#run(script, ...receipts.flatMap(partsOf))) as Holding[];
    } catch (error) {
      if (!isGroupMissing(error)) throw error;
      this.#groupLost();
      return receipts.map(() => "gone");
    }
  }

  /** At the beginning of the stream: what was added before the group existed is worked off too. */
  async #makeGroup(): Promise<void> {
    const { stream, group } = this.#keys;
    try {
      await this.#scripts.command(["XGROUP", "CREATE", stream, group, "0", "MKSTREAM"]);
    } catch (error) {
      if (!isReply(error, "BUSYGROUP")) throw error;
    }
    this.#grouped = true;
  }

  #groupLost(): void {
    if (!this.#grouped) return;
    this.#grouped = false;
    this.#observer.report(
      new WebSocketError(
        `Redis has lost the queue ${this.#terms.queue}: what waited in it is gone, and what is in work can only be finished, not acknowledged.`,
        { code: "queue_lost" },
      ),
      "backplane",
    );
  }

  async #release(): Promise<void> {
    const known = [...this.#held].flatMap(partsOf);
    await this.#run(RELEASE, String(this.#terms.visibilityMs), ...known);
    this.#strays = false;
    this.#sweepAt = 0;
  }

  #deliver(entry: Buffer, attempt: number, fields: readonly Buffer[]): TaskDelivery {
    const delivery = toDelivery(entry.toString(), attempt, fields);
    this.#held.add(delivery.receipt);
    return delivery;
  }

  async #sweep(count: number, now: number): Promise<TaskDelivery[]> {
    const { visibilityMs, maxDeliveries, maxDead } = this.#terms;
    if (now >= this.#tidyAt) {
      this.#tidyAt = now + visibilityMs;
      const silent = String(visibilityMs * SILENT_VISIBILITIES);
      await this.#scripts.run(TIDY, [this.#keys.stream], [...this.#identity, silent]);
    }
    const limits = [visibilityMs, maxDeliveries, count, maxDead, SWEEP_PAUSE_MS].map(String);
    const keys = [...this.#allKeys, this.#keys.sweeper];
    const reply = await this.#scripts.runForBytes(SWEEP, keys, [...this.#identity, ...limits]);
    const [taken, buried, more] = reply as [
      [entry: Buffer, attempt: number, fields: Buffer[]][],
      [id: Buffer, error: Buffer][],
      number,
    ];
    // Spread, so that workers that began together do not all look at the same time.
    this.#sweepAt = more === 1 ? now : now + SWEEP_EVERY_MS * (0.75 + Math.random() / 4);
    for (const [id, error] of buried) {
      this.#observer.buried({ id: id.toString(), error: error.toString() });
    }
    return taken.map(([entry, attempt, fields]) => this.#deliver(entry, attempt, fields));
  }

  async #read(count: number, stopping: AbortSignal): Promise<TaskDelivery[]> {
    const client = this.#connection.client;
    if (client === null) {
      throw new BackplaneUnavailableError("There is no connection to Redis.", "not-stored");
    }
    const options = ["COUNT", String(count), "BLOCK", String(BLOCK_MS)];
    const command = ["XREADGROUP", "GROUP", ...this.#identity, ...options];
    const call = client.sendCommand([...command, "STREAMS", this.#keys.stream, ">"], AS_BYTES);
    const answered = new AbortController();
    const unblock = (): void => void this.#unblock(answered.signal);
    stopping.addEventListener("abort", unblock);
    try {
      const entries = entriesIn(await inTime<unknown>(call));
      return entries.map(([entry, fields]) => this.#deliver(entry, 1, fields));
    } finally {
      answered.abort();
      stopping.removeEventListener("abort", unblock);
    }
  }

  /** Lets the call for new tasks return at once. Never rejects: it returns by itself a little later. */
  async #unblock(answered: AbortSignal): Promise<void> {
    while (!answered.aborted) {
      const unblocked = this.#scripts.command(["CLIENT", "UNBLOCK", this.#clientId]);
      if ((await unblocked.catch(() => 1)) === 1) return;
      await wait(UNBLOCK_AGAIN_MS);
    }
  }
}

const AS_BYTES = { typeMapping: { [BLOB_STRING]: Buffer } };

/** What was read of the one stream asked for: a map in RESP3, a list of pairs in RESP2, null for nothing. */
function entriesIn(reply: unknown): Entry[] {
  if (typeof reply !== "object" || reply === null) return [];
  const entries = Array.isArray(reply) ? reply[0]?.[1] : Object.values(reply)[0];
  return (entries ?? []) as Entry[];
}

/** The fields by their names: somebody else may have written them in any order, or others. */
function toDelivery(entry: string, attempt: number, fields: readonly Buffer[]): TaskDelivery {
  let data: string | null = null;
  let id = entry;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [String(fields[i]), fields[i + 1] ?? Buffer.alloc(0)];
    if (name === "data" && isUtf8(value)) data = value.toString();
    else if (name === "origin") id = value.toString();
  }
  return { id, attempt, receipt: `${entry} ${attempt}`, data };
}

/** The entry and the attempt, of which a receipt is made. */
function partsOf(receipt: string): [entry: string, attempt: string] {
  const [entry = "", attempt = ""] = receipt.split(" ");
  return [entry, attempt];
}

/** Redis no longer knows the group, or the stream with it. */
function isGroupMissing(error: unknown): boolean {
  return isReply(error, "NOGROUP") || (isReply(error, "UNBLOCKED") && !isDemoted(error));
}

/** Whether the primary has become a replica while it was waited for tasks there. */
function isDemoted(error: unknown): boolean {
  return isReply(error, "UNBLOCKED force unblock");
}

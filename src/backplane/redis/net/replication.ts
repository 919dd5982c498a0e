import { BackplaneUnavailableError } from "../../../protocol/errors.ts";
import { type Client, Connection } from "./connection.ts";

/** How long replicas may take, and how long one question waits; in milliseconds. */
const DEADLINE_MS = 1000;
const ASK_MS = 100;

interface Waiting {
  readonly need: number;
  /** Counted from when it is asked first. */
  until: number | null;
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * Waits until replicas have what was written, on a connection of its own, since `WAIT` holds up whatever comes after
 * it; one question for all who wait. What was written on other connections counts, for a write of its own comes after
 * it.
 */
export class Replication {
  readonly #connection: Connection;
  /** A key that is written for its place in the stream to the replicas. */
  readonly #mark: string;
  readonly #waiting: Set<Waiting> = new Set();
  #asking: Promise<void> | null = null;
  #started: Promise<void> | null = null;

  constructor(makeClient: () => Promise<Client>, mark: string) {
    this.#mark = mark;
    this.#connection = new Connection(makeClient, { up: async () => {}, down: () => {} });
  }

  /**
   * Resolves when so many replicas have everything that was written until now.
   *
   * @throws BackplaneUnavailableError ("unknown") if they do not have it within a second.
   */
  wait(need: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add({ need, until: null, resolve, reject });
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null;
      });
    });
  }

  async stop(): Promise<void> {
    if (this.#started !== null) await this.#connection.stop();
  }

  async #ask(): Promise<void> {
    this.#started ??= this.#connection.start();
    await this.#started;
    while (this.#waiting.size > 0) {
      // Who comes while this is asked is asked for the next time.
      const asked = [...this.#waiting];
      const until = performance.now() + DEADLINE_MS;
      for (const one of asked) one.until ??= until;
      let have = 0;
      let failure: unknown;
      try {
        have = await this.#have(Math.min(...asked.map(({ need }) => need)));
      } catch (error) {
        failure = error;
        await new Promise((resolve) => setTimeout(resolve, ASK_MS));
      }
      for (const one of asked) this.#settle(one, have, failure);
    }
  }

  async #have(need: number): Promise<number> {
    const { client } = this.#connection;
    if (client === null) throw new Error("There is no connection to Redis.");
    const marked = client.sendCommand(["SET", this.#mark, "", "PX", "60000"]);
    const have = client.sendCommand(["WAIT", String(need), String(ASK_MS)]);
    await marked;
    return Number(await have);
  }

  #settle(one: Waiting, have: number, cause: unknown): void {
    const { need, until, resolve, reject } = one;
    if (have < need && performance.now() < (until ?? 0)) return;
    this.#waiting.delete(one);
    if (have >= need) resolve();
    else {
      const message = `${have} of ${need} replicas have the message.`;
      reject(new BackplaneUnavailableError(message, "unknown", { cause }));
    }
  }
}

import { type Flow, Inbox } from "../connections/inbox.ts";
import { MessageRate } from "../connections/message-rate.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { StandardSchema } from "../protocol/standard-schema.ts";
import { type Answerer, JsonGate } from "./json-gate.ts";
import { type DecoderTarget, SchemaDecoder } from "./schema-decoder.ts";

/** Whom messages come from; a connection is such. None of these may throw. */
export interface Sender extends Answerer {
  endFirmly(code: number, reason: string): void;
  report(error: unknown, stage: string): void;
}

export interface InboundLimits {
  readonly maxQueueSize: number;
  readonly messagesPerSecond: number | null;
  readonly messageBurst: number;
}

const RATE_LIMITED = {
  type: "error",
  code: "rate_limited",
  message: "You are sending too fast: messages are being dropped.",
};
const NOT_CHECKED = {
  type: "error",
  code: "internal_error",
  message: "The message could not be checked.",
};

/**
 * What one client sends, on its way to whoever reads it: counted, made into what the schema of the
 * route says, and kept until it is taken.
 */
export class Inbound implements Flow, DecoderTarget {
  readonly inbox: Inbox<unknown>;
  readonly #from: Sender;
  readonly #flow: Flow;
  readonly #rate: MessageRate | null;
  readonly #decoder: SchemaDecoder | null;
  #gate: JsonGate | null = null;
  /** For how many reasons the client is held up. */
  #holds = 0;

  constructor(from: Sender, flow: Flow, limits: InboundLimits, schema: StandardSchema | null) {
    this.#from = from;
    this.#flow = flow;
    this.inbox = new Inbox(limits.maxQueueSize, this);
    const { messagesPerSecond, messageBurst } = limits;
    this.#rate =
      messagesPerSecond === null
        ? null
        : new MessageRate(messagesPerSecond, messageBurst, Date.now());
    this.#decoder = schema === null ? null : new SchemaDecoder(schema, this.gate, this, this);
  }

  /** Parses what the client sends and answers what is wrong with it. */
  get gate(): JsonGate {
    this.#gate ??= new JsonGate(this.#from);
    return this.#gate;
  }

  /** Whether the client is held up. */
  get paused(): boolean {
    return this.#holds > 0;
  }

  /** Takes a message that came at `now`, in milliseconds since the epoch. */
  receive(data: Buffer, binary: boolean, now: number): void {
    if (this.#rate !== null && !this.#isInTime(this.#rate, now)) return;
    if (this.#decoder === null) this.inbox.push(binary ? data : data.toString());
    else if (binary) this.#from.endFirmly(CloseCode.unsupportedData, "text only");
    else this.#decoder.decode(data.toString());
  }

  /** The messages as JSON; those that do not parse or fit are skipped. */
  async *json(schema?: StandardSchema): AsyncGenerator<unknown, undefined> {
    for await (const message of this.inbox.read()) {
      const parsed = isRaw(message) && this.#decoder === null ? this.gate.parse(message) : null;
      if (parsed?.ok === false) continue;
      const value = parsed === null ? message : parsed.value;
      if (schema === undefined) {
        this.gate.accept();
        yield value;
        continue;
      }
      const passed = await this.gate.check(value, schema);
      if (passed !== null) yield passed.value;
    }
  }

  /** No more messages come. */
  end(): void {
    if (this.#decoder === null) this.inbox.end();
    else this.#decoder.whenIdle(() => this.inbox.end());
  }

  /** Calls `callback` when the consumer is done with every message that has come. */
  whenIdle(callback: () => void): void {
    if (this.#decoder === null) this.inbox.whenIdle(callback);
    else this.#decoder.whenIdle(() => this.inbox.whenIdle(callback));
  }

  /** See `Flow`. */
  pause(): void {
    this.#holds++;
    if (this.#holds === 1) this.#flow.pause();
  }

  /** See `Flow`. */
  resume(): void {
    this.#holds--;
    if (this.#holds === 0) this.#flow.resume();
  }

  /** See `DecoderTarget`. */
  take(message: unknown): void {
    this.inbox.push(message);
  }

  /** See `DecoderTarget`. */
  failed(error: unknown): void {
    this.#from.report(error, "schema");
    this.#from.send(NOT_CHECKED);
  }

  #isInTime(rate: MessageRate, now: number): boolean {
    const verdict = rate.judge(now);
    if (verdict === "warn") this.#from.send(RATE_LIMITED);
    else if (verdict === "flood") this.#from.endFirmly(CloseCode.flood, "too many messages");
    return verdict === "pass";
  }
}

function isRaw(message: unknown): message is string | Uint8Array {
  return typeof message === "string" || message instanceof Uint8Array;
}

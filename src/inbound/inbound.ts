import { MessageRate, type RateVerdict } from "../limits/message-rate.ts";
import type { Counters } from "../meters/counters.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { MessageRefusedError } from "../protocol/errors.ts";
import type { ErrorFrame } from "../protocol/roomcast-v1.ts";
import type { StandardSchema } from "../protocol/standard-schema.ts";
import { isThenable } from "../protocol/thenable.ts";
import type { Dialect } from "./dialect.ts";
import { type Flow, Inbox } from "./inbox.ts";
import { type Answerer, JsonGate } from "./json-gate.ts";
import type { Receipt } from "./receipt.ts";
import { type Decoded, SchemaDecoder } from "./schema-decoder.ts";
import { Sequencer } from "./sequencer.ts";

/** Whom messages come from; a connection is such. None of these may throw. */
export interface Sender extends Answerer {
  /** Where messages are counted. */
  readonly counters: Counters;
  endFirmly(code: number, reason: string): void;
  report(error: unknown, stage: string): void;
}

export interface InboundLimits {
  readonly maxQueueSize: number;
  readonly messagesPerSecond: number | null;
  readonly messageBurst: number;
}

/** What a client gets whose messages are dropped; with the id of its message, if that had one. */
export const RATE_LIMITED: ErrorFrame = {
  type: "error",
  code: "rate_limited",
  message: "You are sending too fast: messages are being dropped.",
};
const NOT_CHECKED = {
  code: "internal_error",
  message: "The message could not be checked.",
};

/**
 * What one client sends, on its way to whoever reads it: counted, made into what the schema of the
 * route says, and kept until it is taken.
 */
export class Inbound implements Flow {
  readonly inbox: Inbox<unknown>;
  readonly #from: Sender;
  readonly #flow: Flow;
  readonly #rate: MessageRate | null;
  readonly #decoder: SchemaDecoder | null;
  #gate: JsonGate | null = null;
  #decoding: Sequencer | null = null;
  /** Opens the frames of a client that speaks a subprotocol of ours. */
  dialect: Dialect | null = null;
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
    this.#decoder = schema === null ? null : new SchemaDecoder(schema, this.gate);
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
    const { counters } = this.#from;
    counters.bytesReceived += data.length;
    const verdict = this.#rate === null ? "pass" : this.#rate.judge(now, data.length);
    if (verdict !== "pass") counters.rateLimited++;
    if (verdict === "flood") this.#from.endFirmly(CloseCode.flood, "too many messages");
    else if (this.dialect !== null) this.dialect.receive(data, binary, verdict);
    else if (verdict === "pass") this.accept(binary ? data : data.toString(), null);
    else this.#drop(verdict);
  }

  /** Takes what the client sent, out of its frame. */
  accept(message: string | Buffer, receipt: Receipt | null): void {
    this.#from.counters.received[typeof message === "string" ? "text" : "binary"]++;
    const decoder = this.#decoder;
    if (decoder === null) this.inbox.push(message, receipt);
    else if (typeof message !== "string") {
      this.#from.endFirmly(CloseCode.unsupportedData, "text only");
    } else this.#decode(() => decoder.decode(message, receipt), receipt);
  }

  /** Takes JSON that the client sent in a frame, and that was parsed with it. */
  acceptParsed(value: unknown, receipt: Receipt | null): void {
    this.#from.counters.received.text++;
    const decoder = this.#decoder;
    if (decoder === null) this.inbox.push(JSON.stringify(value), receipt);
    else this.#decode(() => decoder.check(value, receipt), receipt);
  }

  /** The messages as JSON; those that do not parse or fit are skipped. */
  async *json(schema?: StandardSchema): AsyncGenerator<unknown, undefined> {
    for await (const { message, receipt } of this.inbox.receive()) {
      const raw = isRaw(message) && this.#decoder === null;
      const parsed = raw
        ? this.gate.parse(message, receipt)
        : { ok: true as const, value: message };
      if (!parsed.ok) continue;
      const passed =
        schema === undefined ? parsed : await this.gate.check(parsed.value, schema, receipt);
      if (passed === null) continue;
      if (schema === undefined) this.gate.accept();
      try {
        yield passed.value;
      } finally {
        receipt?.done(undefined);
      }
    }
  }

  /** Answers a message that its handler does not want. */
  refuse({ code, message, misunderstood }: MessageRefusedError, receipt: Receipt | null): void {
    if (misunderstood) this.gate.refuse(code, message, receipt);
    else if (receipt === null) this.#from.tell({ type: "error", code, message });
    else receipt.failed(code, message);
    if (!misunderstood) this.understood();
  }

  /** A message was understood: counting those that were not begins anew. */
  understood(): void {
    this.#gate?.accept();
  }

  /** No more messages come. */
  end(): void {
    this.#whenAllIsIn(() => this.inbox.end());
  }

  /** Calls `callback` when the consumer is done with every message that has come. */
  whenIdle(callback: () => void): void {
    this.#whenAllIsIn(() => this.inbox.whenIdle(callback));
  }

  /** Calls `callback` when every message that has come is in the inbox. */
  #whenAllIsIn(callback: () => void): void {
    const decoded = (): void => {
      if (this.#decoding === null) callback();
      else this.#decoding.whenIdle(callback);
    };
    if (this.dialect === null) decoded();
    else this.dialect.whenIdle(decoded);
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

  #decode(decode: () => Decoded | Promise<Decoded>, receipt: Receipt | null): void {
    this.#decoding ??= new Sequencer(this);
    this.#decoding.run(() => {
      const decoded = decode();
      if (isThenable(decoded)) return decoded.then((settled) => this.#take(settled, receipt));
      this.#take(decoded, receipt);
      return undefined;
    });
  }

  #take(decoded: Decoded, receipt: Receipt | null): void {
    if (decoded === null) return;
    if ("value" in decoded) {
      this.inbox.push(decoded.value, receipt);
      return;
    }
    this.#from.report(decoded.error, "schema");
    if (receipt === null) this.#from.tell({ type: "error", ...NOT_CHECKED });
    else receipt.failed(NOT_CHECKED.code, NOT_CHECKED.message);
  }

  #drop(verdict: RateVerdict): void {
    if (verdict === "warn") this.#from.tell(RATE_LIMITED);
  }
}

function isRaw(message: unknown): message is string | Uint8Array {
  return typeof message === "string" || message instanceof Uint8Array;
}

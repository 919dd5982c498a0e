import { type EnvelopeRoom, envelope, skip } from "./envelope.ts";
import { Frame } from "./frame.ts";
import { encodePayload, type Message, type Payload } from "./payload.ts";
import type { Link } from "./roomcast-v1.ts";

/**
 * One message on its way to many connections. Each form it can take on the wire is made at most once,
 * when the first connection asks for it, and shared by all who need the same.
 */
export class EncodedMessage implements Payload {
  readonly data: Buffer;
  readonly binary: boolean;
  #plain: Frame | undefined;
  #envelope: { room: EnvelopeRoom; id: string | null; frame: Frame } | undefined;
  #skip: Frame | undefined;

  constructor(payload: Payload, plain?: Frame) {
    this.data = payload.data;
    this.binary = payload.binary;
    this.#plain = plain;
  }

  /** @throws TypeError if the message has no form on the wire; see `encodePayload`. */
  static from(message: Message): EncodedMessage {
    // The payload lies once in memory, in the frame that most connections are sent.
    const frame = new Frame(encodePayload(message));
    return new EncodedMessage({ data: frame.payload, binary: frame.binary }, frame);
  }

  /** The frame for a connection without a subprotocol of ours. */
  get plain(): Frame {
    this.#plain ??= new Frame(this);
    return this.#plain;
  }

  /** The frame for a connection that speaks `roomcast.v1`. */
  enveloped(room: EnvelopeRoom, link: Link | null): Frame {
    const id = link?.id ?? null;
    // A message travels to one place; it is the same one every time, but for a caller that is odd.
    if (this.#envelope?.room !== room || this.#envelope.id !== id) {
      this.#envelope = { room, id, frame: new Frame(envelope(this, room, link)) };
    }
    return this.#envelope.frame;
  }

  /** What such a connection gets that was left out; `room` and `link` are those of `enveloped`. */
  skipped(room: EnvelopeRoom, link: Link): Frame {
    this.#skip ??= new Frame(skip(room, link));
    return this.#skip;
  }
}

import { Frame } from "./frame.ts";
import { encodePayload, type Message, type Payload } from "./payload.ts";

/**
 * One message on its way to many connections. Each form it can take on the wire is made at most once,
 * when the first connection asks for it, and shared by all who need the same.
 */
export class EncodedMessage implements Payload {
  readonly data: Buffer;
  readonly binary: boolean;
  #plain: Frame | undefined;

  constructor(payload: Payload) {
    this.data = payload.data;
    this.binary = payload.binary;
  }

  /** @throws TypeError if the message has no form on the wire; see `encodePayload`. */
  static from(message: Message): EncodedMessage {
    return new EncodedMessage(encodePayload(message));
  }

  /** The frame for a connection without a subprotocol of ours. */
  get plain(): Frame {
    this.#plain ??= new Frame(this);
    return this.#plain;
  }
}

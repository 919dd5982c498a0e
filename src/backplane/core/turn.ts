/** So many bytes or messages travel together at most: what is sent at once is delivered at once. */
const MAX_BYTES = 65_536;
const MAX_MESSAGES = 500;

/** What waits to be sent on one channel. */
interface Waiting<T> {
  readonly messages: T[];
  bytes: number;
}

/**
 * Gathers what is published in one turn of the event loop: messages of one channel are sent together, in their order, when
 * the turn ends. That costs a service, and every receiver, about as much as one of them.
 *
 * Messages of different channels may overtake each other, but for those `toAll`, which are for the receivers of other
 * channels too: they keep their place among all others.
 */
export class Turn<T> {
  readonly #send: (channel: string, messages: readonly T[]) => void;
  /** By channel, in the order of the first message of each. */
  readonly #waiting: Map<string, Waiting<T>> = new Map();
  /** Whether what waits is to all. */
  #toAll = false;
  #ending: NodeJS.Immediate | null = null;

  constructor(send: (channel: string, messages: readonly T[]) => void) {
    this.#send = send;
  }

  /** `bytes`: about how long the message is. */
  add(channel: string, message: T, bytes: number, toAll: boolean): void {
    if (toAll !== this.#toAll) this.end();
    this.#toAll = toAll;
    this.#ending ??= setImmediate(() => this.end());
    const waiting = this.#waiting.get(channel);
    if (waiting === undefined) this.#waiting.set(channel, { messages: [message], bytes });
    else {
      if (waiting.bytes + bytes > MAX_BYTES || waiting.messages.length >= MAX_MESSAGES) {
        this.#endOf(channel);
        this.add(channel, message, bytes, toAll);
        return;
      }
      waiting.messages.push(message);
      waiting.bytes += bytes;
    }
  }

  /** Sends what has to come before anything that is sent to the channel now. */
  endBefore(channel: string): void {
    if (this.#toAll) this.end();
    else this.#endOf(channel);
  }

  /** Sends everything. */
  end(): void {
    if (this.#ending !== null) clearImmediate(this.#ending);
    this.#ending = null;
    for (const channel of [...this.#waiting.keys()]) this.#endOf(channel);
  }

  #endOf(channel: string): void {
    const waiting = this.#waiting.get(channel);
    this.#waiting.delete(channel);
    if (waiting !== undefined) this.#send(channel, waiting.messages);
  }
}

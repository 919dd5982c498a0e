import type { MessagePacket } from "../backplane/contract/broker.ts";

/** What keeping a packet takes besides its payload, in bytes. */
const PACKET_BYTES = 1024;

/** What waits while a log is read, bounded in bytes. */
export class Held {
  readonly #maxBytes: number;
  #packets: MessagePacket[] = [];
  #bytes = 0;
  /** Whether stored messages were left out for want of room: they are in the log, and have to be read there. */
  isIncomplete = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#packets.length;
  }

  /** What is stored can be read again; the rest is lost when too much of it waits. */
  add(packet: MessagePacket): void {
    const bytes = packet.message.data.length + PACKET_BYTES;
    if (this.#bytes + bytes > this.#maxBytes) {
      this.isIncomplete ||= packet.link !== undefined;
      return;
    }
    this.#packets.push(packet);
    this.#bytes += bytes;
  }

  /** Forgets the stored ones among the first `count`. */
  forgetStored(count: number): void {
    this.#packets = this.#packets.filter(({ link }, i) => i >= count || link === undefined);
    this.#measure();
  }

  /** Takes out those that are not stored. */
  takeEphemeral(): MessagePacket[] {
    const ephemeral = this.#packets.filter(({ link }) => link === undefined);
    this.#packets = this.#packets.filter(({ link }) => link !== undefined);
    this.#measure();
    return ephemeral;
  }

  get packets(): readonly MessagePacket[] {
    return this.#packets;
  }

  #measure(): void {
    this.#bytes = 0;
    for (const { message } of this.#packets) this.#bytes += message.data.length + PACKET_BYTES;
  }
}

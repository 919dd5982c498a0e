import type { Instance } from "../backplane/contract/backplane.ts";
import type { BrokerStatus, Channel, Packet } from "../backplane/contract/broker.ts";
import type { Transition } from "../backplane/contract/presence-store.ts";

/** An instance below the manager: keeps what its broker brings. Has one connection everywhere. */
export class Recorder implements Instance {
  readonly id: string;
  readonly received: { channel: Channel; packet: Packet }[] = [];
  readonly statuses: BrokerStatus[] = [];
  readonly troubles: string[] = [];
  /** What was raised without having been asked for. */
  readonly raised: Transition[] = [];
  /** What it knows of rooms joined as a user. */
  readonly asUser: Map<string, string[]> = new Map();
  readonly #waiting: (() => void)[] = [];

  constructor(id: string) {
    this.id = id;
  }

  receive(channel: Channel, packet: Packet): number {
    this.received.push({ channel, packet });
    this.#wake();
    return 1;
  }

  statusChanged(status: BrokerStatus): void {
    this.statuses.push(status);
    this.#wake();
  }

  roomsAsUser(user: string): Iterable<string> {
    return this.asUser.get(user) ?? [];
  }

  raise(transition: Transition): void {
    this.raised.push(transition);
    this.#wake();
  }

  report(error: unknown): void {
    this.troubles.push(String(error));
    this.#wake();
  }

  get texts(): string[] {
    return this.received.map(({ packet }) =>
      packet.type === "message" ? packet.message.data.toString() : packet.type,
    );
  }

  /** Waits until the condition holds; looks whenever something was received or the status changed. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

import type {
  AnswerPacket,
  Channel,
  DisconnectPacket,
  MembershipPacket,
  Scope,
} from "../../backplane/contract/broker.ts";
import type { LocalInstance } from "../instance.ts";

/** How long a call may wait for others, in milliseconds. */
const DEADLINE_MS = 2500;
/** Numbers begin anywhere below this, so that answers to an earlier life under the same id are for nobody. */
const FIRST_NUMBER = 2 ** 40;

/** What became of an order. */
export interface Carried {
  /** How far it got. */
  readonly scope: Scope;
  readonly answers: readonly AnswerPacket[];
  /** Whether all who got it have carried it out. */
  readonly complete: boolean;
  /** For how many connections it was, as far as is known. */
  readonly affected: number;
}

/** Orders that this instance has given to others and itself, until they have answered. */
export class GivenOrders {
  readonly #instance: LocalInstance;
  readonly #waiting: Map<number, (answer: AnswerPacket) => void> = new Map();
  #number: number = Math.floor(Math.random() * FIRST_NUMBER);

  constructor(instance: LocalInstance) {
    this.#instance = instance;
  }

  /**
   * Gives an order to all who take a channel. Resolves when they have carried it out; 2.5 s after `since` at the
   * latest. Whoever is not subscribed at the moment does not get it.
   */
  async give(
    channel: Channel,
    packet: MembershipPacket | DisconnectPacket,
    since: number = performance.now(),
  ): Promise<Carried> {
    const answers: AnswerPacket[] = [];
    const number = this.#number++;
    let wake = (): void => {};
    this.#waiting.set(number, (answer) => {
      answers.push(answer);
      wake();
    });
    const order = { by: this.#instance.id, number };
    const counting = this.#instance.subscribers(channel);
    const { scope } = await this.#instance.publish(channel, { ...packet, order });
    const expected = await this.#expect(scope, counting);
    const left = since + DEADLINE_MS - performance.now();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, left)).unref();
      wake = () => {
        if (answers.length < expected) return;
        clearTimeout(timer);
        resolve();
      };
      wake();
    });
    this.#waiting.delete(number);
    const affected = answers.reduce((sum, answer) => sum + answer.affected, 0);
    return { scope, answers, complete: answers.length >= expected, affected };
  }

  /** Takes an answer; one that nobody waits for any more is passed over. */
  take(answer: AnswerPacket): void {
    this.#waiting.get(answer.to)?.(answer);
  }

  /** How many will answer. */
  async #expect(scope: Scope, counting: Promise<number | null>): Promise<number> {
    switch (scope) {
      case "cluster":
        return (await counting) ?? Number.POSITIVE_INFINITY;
      case "instance":
        return 1;
      default:
        return (await counting) ?? 0;
    }
  }
}

import type { Transition } from "../backplane/contract/presence-store.ts";
import type { RoomPolicy } from "./policy.ts";

/** Tells rooms who came and who went, where their policy says so. */
export class Announcer {
  readonly #policy: RoomPolicy;
  readonly #send: (room: string, announcement: object) => void;

  /** `send`: to everyone in a room; MUST NOT throw. */
  constructor(policy: RoomPolicy, send: (room: string, announcement: object) => void) {
    this.#policy = policy;
    this.#send = send;
  }

  announce({ type: change, user, room }: Transition): void {
    if (room === undefined || !this.#policy.of(room).announce) return;
    const type = change === "join" ? "user_joined" : "user_left";
    // In the next turn, so that an answer to the join itself comes first.
    setImmediate(() => this.#send(room, { type, user_id: user, room }));
  }
}

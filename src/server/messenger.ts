import type { MessagePacket } from "../backplane/broker.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import type { Delivery } from "./connection.ts";
import { toExclusion } from "./exclusion.ts";
import type { LocalInstance } from "./local-instance.ts";
import type { RoomSendOptions, SendOptions } from "./manager-options.ts";
import type { RoomPolicy } from "./room-policy.ts";

/**
 * Sends: checks and encodes a message once, decides whether it is stored, and hands it to the instance.
 * Every method rejects with a TypeError or RangeError before anybody is sent anything.
 */
export class Messenger {
  readonly #instance: LocalInstance;
  readonly #policies: RoomPolicy;

  constructor(instance: LocalInstance, policies: RoomPolicy) {
    this.#instance = instance;
    this.#policies = policies;
  }

  async toConnection(connectionId: string, message: Message): Promise<Delivery> {
    const encoded = EncodedMessage.from(message);
    const local = this.#instance.registry.get(checkName("connection id", connectionId));
    if (local !== undefined) return this.#instance.deliverTo(local, encoded);
    const packet = { type: "message", message: encoded, except: null } as const;
    return this.#instance.publishTo(connectionId, { ...packet, connection: connectionId });
  }

  async toUser(user: string, message: Message, options: SendOptions): Promise<Delivery> {
    const packet = toPacket(message, options);
    return this.#instance.publish(`user:${checkName("user", user)}`, packet);
  }

  async toRoom(room: string, message: Message, options: RoomSendOptions): Promise<Delivery> {
    const packet = toPacket(message, options);
    const rules = this.#policies.of(checkName("room", room));
    const { persist = rules.history !== null } = options;
    if (!persist) return this.#instance.publish(`room:${room}`, packet);
    if (rules.history === null) {
      throw new TypeError(`persist is true, but the policy of the room ${room} has no history.`);
    }
    // Who asks for it in so many words is not given less.
    return this.#instance.publishDurable(
      room,
      packet,
      options.persist === true ? { ...rules, whenUnavailable: "reject" } : rules,
    );
  }

  async toAll(message: Message, options: SendOptions): Promise<Delivery> {
    return this.#instance.publish("broadcast", toPacket(message, options));
  }
}

/** @throws TypeError if the message cannot be encoded or `except` is none of the allowed. */
function toPacket(message: Message, { except }: SendOptions): MessagePacket {
  return {
    type: "message",
    message: EncodedMessage.from(message),
    except: toExclusion(except),
  };
}

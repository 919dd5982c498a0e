import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { Delivery } from "../connection/connection.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { checkName, quote } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import { toExclusion } from "../rooms/exclusion.ts";
import type { RoomRules } from "../rooms/policy.ts";
import type { Room } from "../rooms/room.ts";
import type { Addresses } from "./addresses.ts";
import type { LocalInstance } from "./instance.ts";
import type { DurableSendOptions, SendOptions } from "./options.ts";

const SEND_OPTIONS = ["except"];
/** Their names travel with the message. */
const MAX_ROOMS_AT_ONCE = 100;
const DURABLE_SEND_OPTIONS = ["except", "persist", "idempotencyKey"];

/**
 * Sends: checks and encodes a message once, decides whether it is stored, and hands it to the backplane. Every
 * method throws a TypeError or RangeError before anybody is sent anything.
 */
export class Messenger {
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;

  constructor(instance: LocalInstance, addresses: Addresses) {
    this.#instance = instance;
    this.#addresses = addresses;
  }

  toConnection(id: string, message: Message): Promise<Delivery> {
    const encoded = EncodedMessage.from(message);
    const local = this.#instance.registry.get(checkName("connection id", id));
    if (local !== undefined) return Promise.resolve(local.deliver(encoded));
    return this.#addresses.publish(id, {
      type: "message",
      message: encoded,
      except: null,
      connection: id,
    });
  }

  toUser(user: string, message: Message, options: SendOptions): Promise<Delivery> {
    checkOptions("sendToUser", options, SEND_OPTIONS);
    const packet = toPacket(message, options);
    const channel = this.#instance.registry.users.get(user)?.channel;
    return this.#instance.publish(channel ?? `user:${checkName("user", user)}`, packet);
  }

  toRoom(
    name: string | readonly string[],
    message: Message,
    options: DurableSendOptions,
  ): Promise<Delivery> {
    checkOptions("broadcastToRoom", options, DURABLE_SEND_OPTIONS);
    if (Array.isArray(name)) return this.#toRooms([...new Set<string>(name)], message, options);
    return this.#toRoom(this.#instance.registry.room(checkRoom(name)), message, options);
  }

  /** To each connection in any of the rooms once: by the one channel that every instance listens to. */
  #toRooms(
    rooms: readonly string[],
    message: Message,
    options: DurableSendOptions,
  ): Promise<Delivery> {
    const packet = toPacket(message, options);
    if (options.idempotencyKey !== undefined) checkIdempotencyKey(options.idempotencyKey, false);
    if (rooms.length > MAX_ROOMS_AT_ONCE) {
      throw new RangeError(
        `A message may go to ${MAX_ROOMS_AT_ONCE} rooms at once, not ${rooms.length}.`,
      );
    }
    for (const name of rooms) {
      const { rules } = this.#instance.registry.room(checkName("room", name));
      if (options.persist === true || (rules.history !== null && options.persist !== false)) {
        throw new TypeError(
          `The message would be stored in the room ${quote(name)}, but one to several rooms is in no log: send it to each, or with persist: false.`,
        );
      }
    }
    if (rooms.length > 0) return this.#instance.publish("broadcast", { ...packet, rooms });
    return Promise.resolve({ scope: this.#instance.scope, localRecipients: 0 });
  }

  toAll(message: Message, options: DurableSendOptions): Promise<Delivery> {
    checkOptions("broadcast", options, DURABLE_SEND_OPTIONS);
    return this.#toRoom(this.#instance.registry.everyone, message, options);
  }

  /** Sends to everyone in a room, and stores the message there unless it is ephemeral. */
  #toRoom(room: Room, message: Message, options: DurableSendOptions): Promise<Delivery> {
    const packet = toPacket(message, options);
    const { rules, channel } = room;
    const { idempotencyKey, persist = rules.history !== null } = options;
    if (idempotencyKey !== undefined) checkIdempotencyKey(idempotencyKey, persist);
    if (!persist) return this.#instance.publish(channel, packet);
    if (rules.history === null) {
      const whose = channel === "broadcast" ? "the policy broadcast" : `the policy of ${channel}`;
      const asked = options.persist === true ? "persist is true" : "idempotencyKey is given";
      throw new TypeError(`${asked}, but ${whose} has no history.`);
    }
    // Who asks for it in so many words is not given less.
    const insists = options.persist === true || idempotencyKey !== undefined;
    const stored = this.#store(room, packet, rules.history, idempotencyKey ?? null);
    if (insists || rules.whenUnavailable === "reject") return stored;
    return stored.catch((error: unknown) => {
      if (!(error instanceof BackplaneUnavailableError && error.outcome === "not-stored"))
        throw error;
      return this.#instance.publish(channel, packet);
    });
  }

  #store(
    { channel }: Room,
    packet: MessagePacket,
    policy: NonNullable<RoomRules["history"]>,
    idempotencyKey: string | null,
  ): Promise<Delivery> {
    const { history, isStarted } = this.#instance;
    if (isStarted) {
      return this.#instance.timed(history.append(channel, packet, policy, idempotencyKey));
    }
    const message = "The manager is not running.";
    return Promise.reject(new BackplaneUnavailableError(message, "not-stored"));
  }
}

/** What an idempotency key may be at most, in UTF-16 units. */
const MAX_KEY_LENGTH = 256;

function checkIdempotencyKey(key: unknown, persist: boolean): void {
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY_LENGTH) {
    throw new TypeError(`idempotencyKey must be text of 1 to ${MAX_KEY_LENGTH} characters.`);
  }
  if (!persist) throw new TypeError("idempotencyKey is for messages that are stored.");
}

/** @throws TypeError if the message cannot be encoded or `except` is none of the allowed. */
function toPacket(message: Message, { except }: SendOptions): MessagePacket {
  return {
    type: "message",
    message: EncodedMessage.from(message),
    except: toExclusion(except),
  };
}

/** The log of messages to everyone has a name, but is written to by `broadcast` alone. */
function checkRoom(name: unknown): string {
  return typeof name === "string" && !name.startsWith("{") ? name : checkName("room", name);
}

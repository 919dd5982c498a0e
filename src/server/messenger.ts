import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { LogName } from "../backplane/contract/history-store.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import type { Delivery } from "./connection.ts";
import { toExclusion } from "./exclusion.ts";
import type { LocalInstance } from "./local-instance.ts";
import type { DurableSendOptions, SendOptions } from "./manager-options.ts";
import type { RoomPolicy, RoomRules } from "./room-policy.ts";

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

  async toRoom(room: string, message: Message, options: DurableSendOptions): Promise<Delivery> {
    return this.#toLog(`room:${checkName("room", room)}`, message, options);
  }

  async toAll(message: Message, options: DurableSendOptions): Promise<Delivery> {
    return this.#toLog("broadcast", message, options);
  }

  /** Sends to everyone a log is for, and stores the message there unless it is ephemeral. */
  async #toLog(log: LogName, message: Message, options: DurableSendOptions): Promise<Delivery> {
    const packet = toPacket(message, options);
    const rules = this.#policies.ofLog(log);
    const { idempotencyKey, persist = rules.history !== null } = options;
    if (idempotencyKey !== undefined) checkIdempotencyKey(idempotencyKey, persist);
    if (!persist) return this.#instance.publish(log, packet);
    if (rules.history === null) {
      const whose = log === "broadcast" ? "the policy broadcast" : `the policy of ${log}`;
      const asked = options.persist === true ? "persist is true" : "idempotencyKey is given";
      throw new TypeError(`${asked}, but ${whose} has no history.`);
    }
    // Who asks for it in so many words is not given less.
    const insists = options.persist === true || idempotencyKey !== undefined;
    const kept: RoomRules = insists ? { ...rules, whenUnavailable: "reject" } : rules;
    return this.#instance.publishDurable(log, packet, kept, idempotencyKey ?? null);
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

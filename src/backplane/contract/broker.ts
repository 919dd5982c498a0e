import type { EncodedMessage } from "../../protocol/encoded-message.ts";
import type { Link } from "../../protocol/roomcast-v1.ts";

/**
 * Where a packet goes: to everyone, to the instances that hold somebody of a room or a user, or to
 * one instance.
 */
export type Channel = "broadcast" | `room:${string}` | `user:${string}` | `instance:${string}`;

/** Whom a message leaves out; holds on every instance. */
export interface Exclusion {
  /** Connection ids. */
  readonly connections: readonly string[];
  readonly users: readonly string[];
}

/** What travels between instances. */
export type Packet = MessagePacket | MembershipPacket | DisconnectPacket | AnswerPacket;

/** A message for the connections the channel names. */
export interface MessagePacket {
  readonly type: "message";
  readonly message: EncodedMessage;
  readonly except: Exclusion | null;
  /** Its place in the log of its channel; absent if it is not stored. Given by the `HistoryStore`. */
  readonly link?: Link;
  /** On an instance's channel: the one connection it is for. */
  readonly connection?: string;
  /** On the channel `broadcast`: the rooms it is for, to each connection in any of them once. It is in no log. */
  readonly rooms?: readonly string[];
}

/** What instances tell each other to do. */
interface OrderPacket {
  /** On an instance's channel: the one connection it is for. */
  readonly connection?: string;
  /** On any but a user's channel: the one user it is for. */
  readonly user?: string;
  /** Whoever gets it answers when it is done; absent: nobody waits for that. */
  readonly order?: Order;
}

/** Who waits for answers, and what the order is known by there. */
export interface Order {
  /** An instance. */
  readonly by: string;
  readonly number: number;
}

/** Brings connections into a room, or takes them out. */
export interface MembershipPacket extends OrderPacket {
  readonly type: "join" | "leave";
  readonly room: string;
  /** On a user's channel: see `AsUserChange`; an older change than what is known changes nothing. */
  readonly version?: number;
  /** Set by a backplane that knows of a later change: this one changes nothing, and is answered all the same. */
  readonly outdated?: true;
}

/** Closes connections. */
export interface DisconnectPacket extends OrderPacket {
  readonly type: "disconnect";
  readonly code: number;
  readonly reason: string;
  /** How long ago it was ordered, in milliseconds: connections that were made since are not meant. */
  readonly agoMs?: number;
}

/** An order was carried out. */
export interface AnswerPacket {
  readonly type: "answer";
  /** The number of the order. */
  readonly to: number;
  /** The instance that did it. */
  readonly from: string;
  /** How many connections it was for, there. */
  readonly affected: number;
}

/**
 * How far a packet got: "cluster", the backplane took it, and gave it to every instance that is there, as far as it can
 * tell, or stored it for them; "instance", only this instance got it; "unknown", the backplane did not answer in time,
 * or some instance that is there may not have got it: one that is cut off, or about to hear of its channels again.
 */
export type Scope = "cluster" | "instance" | "unknown";

export interface Publication {
  readonly scope: Scope;
  /** How many connections of this instance it was queued to. */
  readonly localRecipients: number;
}

/**
 * Carries packets between instances.
 *
 * Guarantees: while `status` is "connected", the packets of one channel arrive in one order, the same
 * at every subscriber, the publisher included; an instance receives a packet of a channel once, and
 * only if it is subscribed. Otherwise the publisher's own packets reach itself, first in, first out.
 */
export interface Broker {
  readonly status: BrokerStatus;

  /**
   * Starts receiving a channel. A resolved promise means that every packet published from now on will
   * arrive. MUST be idempotent. MUST NOT reject because the service is away: it subscribes again by
   * itself when it is back.
   */
  subscribe(channel: Channel): Promise<void>;

  /** Stops receiving a channel, perhaps a little later. MUST be idempotent. */
  unsubscribe(channel: Channel): void;

  /**
   * Sends a packet. If this instance is subscribed to the channel, it is handed to its `receive`
   * before the promise resolves. MUST NOT reject because the service is away: `scope` says so.
   */
  publish(channel: Channel, packet: Packet): Promise<Publication>;

  /**
   * How many instances are subscribed to a channel: asked right before a `publish`, how many get that. Null if the
   * service is away, or cannot tell.
   */
  subscribers(channel: Channel): Promise<number | null>;
}

export type BrokerStatus = "connected" | "degraded";

import type { Channel, MessagePacket } from "../backplane/contract/broker.ts";
import type { LogName } from "../backplane/contract/history-store.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Feed } from "../durable/feed.ts";
import { DenseSet } from "../fanout/dense-set.ts";
import type { Audience } from "../meters/counters.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Frame } from "../protocol/frame.ts";
import type { RoomRules } from "./policy.ts";

/** Connections that are sent the same: those of a user, or those in a room. */
export class Group {
  /** By which the cluster knows it. */
  readonly channel: Channel;
  /** As what its messages are counted. */
  readonly audience: Audience;
  /** What envelopes say of where a message was sent; null: to a user. */
  readonly name: string | null;
  readonly members: DenseSet<ServerConnection> = new DenseSet();
  /** Its log as this instance hears it; null: it is not durable, or not followed yet. */
  feed: Feed | null = null;
  /** Those of them who are on their way in; null: nobody is. */
  arrivals: Map<ServerConnection, Arrival> | null = null;

  constructor(channel: Channel, name: string | null) {
    this.channel = channel;
    this.name = name;
    if (channel === "broadcast") this.audience = "broadcast";
    else this.audience = name === null ? "user" : "room";
  }
}

/** A connection on its way into a room: the room's messages wait until it has what it missed. */
export interface Arrival {
  readonly connection: ServerConnection;
  readonly room: Room;
  /** Where the log stood when it joined; null: not known yet. */
  base: string | null;
  /** Whether messages to the room arrive here by now. */
  isOpen: boolean;
  /** Whether what it missed can be had, or cannot: it may go in. */
  isPrepared: boolean;
  /** What has no place in the log, in order of arrival. The rest is in the feed's ring. */
  held: MessagePacket[];
  heldBytes: number;
  /** It is in, or gone. */
  isOver: boolean;
}

/**
 * A named group that connections join. It exists while it has members here, and is found by one look at its
 * name or its channel; everyone is a room too, which all connections are in, with a name no other can have.
 */
export class Room extends Group {
  declare readonly name: string;
  declare readonly channel: LogName;
  readonly rules: RoomRules;
  /** Resolves when what is sent to it arrives here; null: it does, or nobody has asked for it. */
  opening: Promise<void> | null = null;
  /** Whether this instance asked for what is sent to it. */
  isFollowed = false;
  #joined: { recovered: boolean | null; position: string | null; frame: Frame } | null = null;

  constructor(name: string, channel: LogName, rules: RoomRules) {
    super(channel, name);
    this.rules = rules;
  }

  /** The `joined` frame; the same one for all who come in at the same place, so that they share its bytes. */
  joinedFrame(recovered: boolean | null, position: string | null): Frame {
    if (this.#joined?.recovered !== recovered || this.#joined.position !== position) {
      const frame = { type: "joined", room: this.name, recovered, position };
      this.#joined = { recovered, position, frame: EncodedMessage.from(frame).plain };
    }
    return this.#joined.frame;
  }
}

import type { Exclusion, MessagePacket } from "../backplane/contract/broker.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Members } from "../fanout/dense-set.ts";
import type { FanOut, Framed } from "../fanout/fan-out.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Frame } from "../protocol/frame.ts";
import type { Registry } from "./registry.ts";
import type { Arrival, Group } from "./room.ts";

/** What keeping a packet for somebody who is on the way takes besides its payload, in bytes. */
const PACKET_BYTES = 512;

/** A message as the connections of one group get it. */
class GroupMessage implements Framed {
  readonly #packet: MessagePacket;
  readonly #name: string | null;

  constructor(packet: MessagePacket, name: string | null) {
    this.#packet = packet;
    this.#name = name;
  }

  frame(enveloped: boolean): Frame {
    const { message, link } = this.#packet;
    return enveloped ? message.enveloped(this.#name, link ?? null) : message.plain;
  }

  instead(enveloped: boolean): Frame | null {
    const { message, link } = this.#packet;
    return enveloped && link !== undefined ? message.skipped(this.#name, link) : null;
  }
}

/** Queues messages to the connections of this instance they are for. */
export class LocalDelivery {
  readonly #registry: Registry;
  readonly #fanOut: FanOut;
  /** Somebody on the way into a room was sent more than may wait. */
  readonly #overfull: (arrival: Arrival) => void;

  constructor(registry: Registry, fanOut: FanOut, overfull: (arrival: Arrival) => void) {
    this.#registry = registry;
    this.#fanOut = fanOut;
    this.#overfull = overfull;
  }

  /** Queues a message to the members of a group; for those on their way in it waits. Answers how many they are. */
  deliver(group: Group, packet: MessagePacket): number {
    const { arrivals } = group;
    const members = this.#membersFor(group, packet);
    if (members.size === 0) return 0;
    const except = this.#leftOut(members, packet.except);
    const message = new GroupMessage(packet, group.name);
    if (arrivals === null) this.#fanOut.deliverAll(message, members.items, except, NOBODY);
    else {
      const present = except.filter((connection) => !arrivals.has(connection));
      const waiting = [...arrivals.keys()].filter((connection) => members.has(connection));
      this.#fanOut.deliverAll(message, members.items, present, waiting);
      // What is in a log is read from there.
      if (packet.link === undefined) this.#hold(arrivals, waiting, packet, except);
    }
    const recipients = members.size - except.length;
    const { counters } = this.#fanOut;
    counters.sent[group.audience] += recipients;
    if (counters.hitters !== null && group.audience === "room") {
      counters.hitters.rooms.add(group.name ?? "", recipients);
    }
    return recipients;
  }

  /** How many members `deliver` would count. */
  audience(group: Group, packet: MessagePacket): number {
    const members = this.#membersFor(group, packet);
    return members.size - this.#leftOut(members, packet.except).length;
  }

  /** The members of a group; of a message to several rooms, those who are in none of the rooms before. */
  #membersFor({ name, members }: Group, { rooms }: MessagePacket): Members<ServerConnection> {
    if (rooms === undefined || name === null) return members;
    const before = rooms
      .slice(0, rooms.indexOf(name))
      .flatMap((room) => this.#registry.rooms.get(room)?.members ?? []);
    if (before.length === 0) return members;
    const rest = new Set(
      members.items.filter((member) => !before.some((others) => others.has(member))),
    );
    return { size: rest.size, items: [...rest], has: (member) => rest.has(member) };
  }

  /** Tells the members of a room that messages are lost for good. */
  gap(group: Group): void {
    const frame = EncodedMessage.from({ type: "gap", room: group.name }).plain;
    for (const member of group.members.items) {
      if (member.enveloped && group.arrivals?.has(member) !== true) member.deliverFrame(frame);
    }
  }

  #hold(
    arrivals: ReadonlyMap<ServerConnection, Arrival>,
    waiting: readonly ServerConnection[],
    packet: MessagePacket,
    except: readonly ServerConnection[],
  ): void {
    for (const connection of waiting) {
      const arrival = arrivals.get(connection);
      if (arrival === undefined || except.includes(connection)) continue;
      arrival.held.push(packet);
      arrival.heldBytes += packet.message.data.length + PACKET_BYTES;
      if (arrival.heldBytes > arrival.connection.maxBufferedBytes) this.#overfull(arrival);
    }
  }

  #leftOut(
    members: Members<ServerConnection>,
    except: Exclusion | null,
  ): readonly ServerConnection[] {
    if (except === null) return NOBODY;
    const { connections, users } = except;
    if (users.length === 0 && connections.length === 1) {
      const only = this.#registry.get(connections[0] ?? "");
      return only !== undefined && members.has(only) ? [only] : NOBODY;
    }
    const named = new Set<ServerConnection>();
    for (const id of connections) {
      const connection = this.#registry.get(id);
      if (connection !== undefined && members.has(connection)) named.add(connection);
    }
    for (const user of users) {
      for (const connection of this.#registry.users.get(user)?.members.items ?? []) {
        if (members.has(connection)) named.add(connection);
      }
    }
    return [...named];
  }
}

const NOBODY: readonly ServerConnection[] = [];

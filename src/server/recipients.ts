import type { Channel, Exclusion, MessagePacket } from "../backplane/contract/broker.ts";
import { DenseSet, type Members } from "../connections/dense-set.ts";
import type { Registry } from "../connections/registry.ts";
import type { FanOut, Forms } from "../fanout/fan-out.ts";
import { type EnvelopeRoom, roomOfChannel } from "../protocol/envelope.ts";
import type { Frame } from "../protocol/frame.ts";
import type { Resumer } from "./resumer.ts";
import type { ServerConnection } from "./server-connection.ts";

/** A message as the connections of one channel get it. */
class PacketForms implements Forms {
  readonly #packet: MessagePacket;
  readonly #room: EnvelopeRoom;

  constructor(packet: MessagePacket, room: EnvelopeRoom) {
    this.#packet = packet;
    this.#room = room;
  }

  frame(enveloped: boolean): Frame {
    const { message, link } = this.#packet;
    return enveloped ? message.enveloped(this.#room, link ?? null) : message.plain;
  }

  instead(enveloped: boolean): Frame | null {
    const { message, link } = this.#packet;
    return enveloped && link !== undefined ? message.skipped(this.#room, link) : null;
  }
}

/**
 * Queues a message to the connections of this instance that its channel names; for those on their way into
 * the room it waits. Answers how many they were.
 */
export function deliverLocally(
  registry: Registry<ServerConnection>,
  fanOut: FanOut,
  resumer: Resumer,
  channel: Channel,
  packet: MessagePacket,
): number {
  const members = membersOf(registry, channel);
  if (members.size === 0) return 0;
  const except = packet.except === null ? NOBODY : leftOut(registry, members, packet.except);
  const joining = resumer.joining(channel);
  const waiting = joining === undefined ? NOBODY : [...joining.keys()];
  const forms = new PacketForms(packet, roomOfChannel(channel));
  fanOut.deliverAll(
    forms,
    members.items,
    joining === undefined ? except : except.filter((connection) => !joining.has(connection)),
    waiting,
  );
  // What is in a log is read from there.
  if (joining !== undefined && packet.link === undefined) {
    for (const joiner of [...joining.values()]) {
      if (!except.includes(joiner.connection)) resumer.hold(joiner, packet);
    }
  }
  return members.size - except.length;
}

/** How many connections of this instance `deliverLocally` would count. */
export function audienceOf(
  registry: Registry<ServerConnection>,
  channel: Channel,
  { except }: MessagePacket,
): number {
  const members = membersOf(registry, channel);
  return members.size - (except === null ? 0 : leftOut(registry, members, except).length);
}

/** The connections of this instance that a channel of many stands for. Valid until the next change. */
export function membersOf(
  registry: Registry<ServerConnection>,
  channel: Channel,
): Members<ServerConnection> {
  if (channel.startsWith("room:")) return registry.inRoom(channel.slice("room:".length));
  if (channel.startsWith("user:")) return registry.ofUser(channel.slice("user:".length));
  // On an instance's channel a packet names its connection; without one it is for nobody.
  return channel === "broadcast" ? registry.connections : NO_MEMBERS;
}

const NOBODY: readonly ServerConnection[] = [];
const NO_MEMBERS: Members<ServerConnection> = new DenseSet();

function leftOut(
  registry: Registry<ServerConnection>,
  members: Members<ServerConnection>,
  except: Exclusion,
): ServerConnection[] {
  const named = new Set<ServerConnection>();
  for (const id of except.connections) {
    const connection = registry.get(id);
    if (connection !== undefined) named.add(connection);
  }
  for (const user of except.users) {
    for (const connection of registry.ofUser(user).items) named.add(connection);
  }
  return [...named].filter((connection) => members.has(connection));
}

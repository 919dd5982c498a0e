import type { Broker, BrokerStatus, Channel, Packet } from "./broker.ts";
import type { PresenceStore } from "./presence-store.ts";

/**
 * What carries messages and shared state between instances. All instances that are attached to the
 * same backplane (in memory), or to backplanes on the same service with the same prefix, are one cluster.
 */
export interface Backplane {
  /** Makes an instance part of the cluster once its attachment is started. Does no I/O. */
  attach(instance: Instance): Attachment;
}

/** An instance, as its backplane sees it. */
export interface Instance {
  /** Unique in the cluster. */
  readonly id: string;

  /**
   * Takes a packet of a channel this instance subscribed to. Answers how many connections it was queued
   * to. MUST NOT throw, and MUST NOT publish before it returns.
   */
  receive(channel: Channel, packet: Packet): number;

  /** The backplane was lost or found again. MUST NOT throw. */
  statusChanged(status: BrokerStatus): void;
}

/** One instance's part in the cluster. */
export interface Attachment {
  readonly broker: Broker;
  readonly presence: PresenceStore;

  /** MUST resolve when the service is away: the instance begins degraded and joins by itself. */
  start(): Promise<void>;

  /** Leaves the cluster. Nothing is received afterwards, and what is published reaches nobody. */
  stop(): Promise<void>;
}

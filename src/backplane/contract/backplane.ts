import type { Broker, BrokerStatus, Channel, Packet } from "./broker.ts";
import type { HistoryStore } from "./history-store.ts";
import type { PresenceStore, Transition } from "./presence-store.ts";
import type { ReceiptStore } from "./receipt-store.ts";
import type { TaskObserver, TaskStore, TaskTerms } from "./task-store.ts";

/**
 * What carries messages and shared state between instances. All instances that are attached to the
 * same backplane (in memory), or to backplanes on the same service with the same prefix, are one cluster.
 */
export interface Backplane {
  /** Makes an instance part of the cluster once its attachment is started. Does no I/O. */
  attach(instance: Instance): Attachment;

  /** Opens a task queue. Does no I/O before it is used; needs no attached instance. */
  tasks(terms: TaskTerms, observer: TaskObserver): TaskStore;
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

  /** The rooms a user is in as a user, as far as this instance knows: for a service that has lost them. */
  roomsAsUser(user: string): Iterable<string>;

  /**
   * The cluster changed, and no call of this instance's has said so: it cleared away an instance that is gone, or has left
   * users in grace, was itself taken for gone and is back, or the service confirmed a write after nobody waited for it any
   * more. MUST NOT throw.
   */
  raise(transition: Transition): void;

  /** Something about the service that people should know, and the stage it happened in. MUST NOT throw. */
  report(error: unknown, stage: string): void;
}

/** One instance's part in the cluster. */
export interface Attachment {
  /** What the cluster runs on: "memory", "redis", or a name of your own. */
  readonly kind: string;
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly history: HistoryStore;
  readonly receipts: ReceiptStore;

  /** MUST resolve when the service is away: the instance begins degraded and joins by itself. */
  start(): Promise<void>;

  /** Leaves the cluster. Nothing is received afterwards, and what is published reaches nobody. */
  stop(): Promise<void>;
}

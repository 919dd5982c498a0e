import type { Channel } from "../contract/broker.ts";

/** The full names of channels, and what part of the service each lies in: parts are lost and found by themselves. */
export interface ChannelNames {
  channel(channel: Channel): string;
  channelOf(name: string): Channel;
  bucketOf(name: string): number;
}

/** What carries bytes from channel to channel, while it can. Channels are full names. */
export interface Transport {
  /** What people call the service. */
  readonly service: string;
  /** Whether messages flow on every channel. */
  readonly complete: boolean;
  /** Whether what is published on the channel reaches all who are subscribed to it. */
  flows(channel: string): boolean;
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): void;
  /** Whether everything published to the channel from now on comes back here. */
  isSubscribed(channel: string): boolean;
  /** Rejects if the service did not take the message, or nobody knows. */
  publish(channel: string, message: Buffer): Promise<void>;
  /** How many are subscribed to the channel. Rejects if nobody can tell. */
  subscribers(channel: string): Promise<number>;
  /**
   * Asked right beside a `publish`: whether all instances that are there hear what comes on channels of that part of the
   * service. Never rejects: not if nobody can tell.
   */
  everybodyHears(channel: string): Promise<boolean>;
  /** A message was refused, or did not come back in time. */
  failed(channel: string, reason: Error): void;
}

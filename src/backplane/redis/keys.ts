import type { Channel } from "../broker.ts";

/**
 * Every name of a key or channel is made here. Names of rooms and users hold no control characters and no
 * braces, so no two of these are ever the same.
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** So that `redis-cli PUBLISH ws:room:lobby …` just works. */
  channel(channel: Channel): string {
    return this.#prefix + channel;
  }

  /** The log of a durable room: a stream. */
  log(room: string): string {
    return `${this.#prefix}log:${room}`;
  }

  /** The position of the newest entry of that log. It outlives the log. */
  logEnd(room: string): string {
    return `${this.#prefix}log-end:${room}`;
  }

  /** The channel a name stands for; the name is one of `channel`. */
  channelOf(name: string): Channel {
    return name.slice(this.#prefix.length) as Channel;
  }
}

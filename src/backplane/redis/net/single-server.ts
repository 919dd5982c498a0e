import type { Channel } from "../../contract/broker.ts";
import type { Keys } from "../keys.ts";
import type { ClientFactory } from "./client-factory.ts";
import type { Servers, ServersEvents } from "./servers.ts";
import { Shard } from "./shard.ts";

/** A Redis alone, or the primary that Sentinels know: it holds every name. */
export class SingleServer implements Servers {
  readonly #shard: Shard;

  constructor(clients: ClientFactory, keys: Keys, canary: Channel, events: ServersEvents) {
    this.#shard = new Shard(
      {
        buckets: [0],
        canary: keys.channel(canary),
        mark: keys.markIn(0),
        rollCall: keys.rollCallIn(0),
        sharded: false,
        bucketOf: () => 0,
        makeClient: () => clients.make(),
      },
      {
        wanted: () => events.wanted(this.#shard),
        receive: events.receive,
        leaving: events.leaving,
        joining: events.joining,
        flows: events.changed,
        living: events.living,
        lost: () => events.lost(this.#shard),
        down: events.trouble,
      },
    );
  }

  get complete(): boolean {
    return this.#shard.flowing;
  }

  of(): Shard {
    return this.#shard;
  }

  start(): Promise<void> {
    return this.#shard.start();
  }

  stop(): Promise<void> {
    return this.#shard.stop();
  }
}

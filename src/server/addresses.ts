import type { Packet } from "../backplane/contract/broker.ts";
import type { Delivery } from "../connection/connection.ts";
import { instanceOf } from "../connection/connection-id.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { LocalInstance } from "./instance.ts";

/** Where a connection is: an instance, nowhere, or nobody can tell while the backplane is away. */
export type Holder = { readonly instance: string | null } | "unknown";

/**
 * Which instance holds a connection. Ids made here tell; those a caller chose are claimed in the cluster, by one
 * holder at a time.
 */
export class Addresses {
  readonly #instance: LocalInstance;

  constructor(instance: LocalInstance) {
    this.#instance = instance;
  }

  /** Claims the chosen ids of connections from before the start. */
  start(): void {
    for (const connection of this.#instance.registry.connections.items) this.claim(connection);
  }

  /** Makes a chosen id known; whoever had it elsewhere is replaced. */
  claim({ id }: ServerConnection): void {
    if (instanceOf(id) === null && this.#instance.isStarted) {
      this.#instance.background(this.#replace(id));
    }
  }

  /** Gives a chosen id back, unless another connection here has it by now. */
  release({ id }: ServerConnection): void {
    const { isStarted, registry, attachment } = this.#instance;
    if (instanceOf(id) !== null || !isStarted || registry.get(id) !== undefined) return;
    this.#instance.background(attachment.presence.release(id));
  }

  /** Sends to the instance that holds a connection. */
  async publish(id: string, packet: Packet): Promise<Delivery> {
    const holder = await this.holderOf(id);
    if (holder === "unknown") return { scope: "instance", localRecipients: 0 };
    const { instance } = holder;
    if (instance === null) return { scope: this.#instance.scope, localRecipients: 0 };
    return this.#instance.publish(`instance:${instance}`, packet);
  }

  async #replace(id: string): Promise<void> {
    const holder = await this.#instance.attachment.presence.claim(id);
    if (holder === null) return;
    const code = CloseCode.replaced;
    const packet = { type: "disconnect", code, reason: "replaced", connection: id } as const;
    await this.#instance.publish(`instance:${holder}`, packet);
  }

  /** The other instance that holds, or held, a connection. */
  async holderOf(id: string): Promise<Holder> {
    const { attachment, id: own } = this.#instance;
    try {
      const instance = instanceOf(id) ?? (await attachment.presence.locate(id));
      return { instance: instance === own ? null : instance };
    } catch (error) {
      if (error instanceof BackplaneUnavailableError) return "unknown";
      throw error;
    }
  }
}

import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { ManagerStatus } from "./events.ts";
import type { LocalInstance } from "./instance.ts";
import type { Health } from "./options.ts";

/** How long the number of users online is taken for what it was, in milliseconds. */
const KNOWN_FOR_MS = 1000;

/** Answers how an instance is. However many ask, the backplane is asked one question at a time. */
export class HealthReport {
  readonly #instance: LocalInstance;
  #online: { readonly count: number; readonly until: number } | null = null;
  #counting: Promise<number> | null = null;

  constructor(instance: LocalInstance) {
    this.#instance = instance;
  }

  /** Somebody came online or went, as this instance knows. */
  changed(): void {
    this.#online = null;
  }

  async of(status: ManagerStatus): Promise<Health> {
    const { id, registry, attachment } = this.#instance;
    return {
      status,
      instance_id: id,
      local_connections: registry.connections.size,
      local_users: registry.users.size,
      local_rooms: registry.rooms.size,
      global_online_users: await this.#onlineCount(),
      redis_connected: attachment.kind === "redis" && this.#instance.status === "connected",
    };
  }

  #onlineCount(): Promise<number> {
    if (this.#online !== null && performance.now() < this.#online.until) {
      return Promise.resolve(this.#online.count);
    }
    this.#counting ??= this.#count().finally(() => {
      this.#counting = null;
    });
    return this.#counting;
  }

  /** Those of this instance while the backplane is away: they are all it can be sure of. */
  async #count(): Promise<number> {
    try {
      const count = await this.#instance.presence.onlineCount();
      this.#online = { count, until: performance.now() + KNOWN_FOR_MS };
      return count;
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) throw error;
      return this.#instance.registry.users.size;
    }
  }
}

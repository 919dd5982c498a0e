import { checkOptions } from "../protocol/check-options.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { checkName } from "../protocol/names.ts";
import type { Addresses } from "./addresses.ts";
import type { LocalInstance } from "./instance.ts";
import type { CloseOptions, Target } from "./options.ts";

/** What connections are told to do, wherever they are. Every method rejects with what is wrong with its arguments. */
export class Orders {
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;

  constructor(instance: LocalInstance, addresses: Addresses) {
    this.#instance = instance;
    this.#addresses = addresses;
  }

  async disconnect(target: Target, options: CloseOptions): Promise<void> {
    const { code, reason } = resolveClose(options);
    await this.#addresses.disconnect(idOf(target), code, reason);
  }

  async disconnectUser(user: string, options: CloseOptions): Promise<void> {
    const { code, reason } = resolveClose(options);
    const channel = `user:${checkName("user", user)}` as const;
    await this.#instance.publish(channel, { type: "disconnect", code, reason });
  }

  /** Brings a target into a room, or takes it out. Whether that changed anything. */
  async changeRoom(type: "join" | "leave", target: Target, name: string): Promise<boolean> {
    const room = checkName("room", name);
    if (typeof target === "object" && target !== null && !("id" in target)) {
      return this.#changeAsUser(type, checkName("user", target.userId), room);
    }
    const id = idOf(target);
    const local = this.#instance.registry.get(id);
    if (local !== undefined) return this.#instance[type](local, room);
    return this.#addresses.ask(type, id, room);
  }

  async #changeAsUser(type: "join" | "leave", user: string, room: string): Promise<boolean> {
    const { isStarted, registry, attachment } = this.#instance;
    const { presence } = attachment;
    const { changed, version } = isStarted
      ? await (type === "join" ? presence.joinAsUser(user, room) : presence.leaveAsUser(user, room))
      : { changed: registry.users.has(user), version: 0 };
    const packet = { type, room, version };
    const { localRecipients } = await this.#instance.publish(`user:${user}`, packet);
    return changed || (type === "leave" && localRecipients > 0);
  }
}

function idOf(target: Target): string {
  const id = typeof target === "object" && target !== null && "id" in target ? target.id : target;
  return checkName("connection id", id);
}

const CLOSE_OPTIONS = ["code", "reason"];

/** By default 1000 without a reason. @throws RangeError for what may not be sent. */
function resolveClose(options: CloseOptions): Required<CloseOptions> {
  checkOptions("disconnect", options, CLOSE_OPTIONS);
  const { code = CloseCode.normal, reason = "" } = options;
  checkClose(code, reason);
  return { code, reason };
}

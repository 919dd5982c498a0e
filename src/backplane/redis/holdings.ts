import type { Place } from "./bucket-keys.ts";
import type { Entry } from "./memberships.ts";

interface Holding {
  readonly value: string;
  /** Redis has been told, and has confirmed it. */
  told: boolean;
}

/**
 * Where this instance holds whom: what Redis was told, or is to be told. An absolute copy of its own, so
 * that what Redis has lost can be written again as it was written, without asking anybody, and whatever
 * changes meanwhile.
 */
export class Holdings {
  readonly #places: Map<string, { readonly place: Place; readonly members: Map<string, Holding> }> =
    new Map();

  put({ place, member, value }: Entry): void {
    let held = this.#places.get(place.name);
    if (held === undefined) {
      held = { place, members: new Map() };
      this.#places.set(place.name, held);
    }
    held.members.set(member, { value, told: false });
  }

  remove({ place, member }: Entry): void {
    const members = this.#places.get(place.name)?.members;
    members?.delete(member);
    if (members?.size === 0) this.#places.delete(place.name);
  }

  has(place: Place, member: string): boolean {
    return this.#get(place, member) !== undefined;
  }

  find(place: Place, member: string): Entry | undefined {
    const holding = this.#get(place, member);
    return holding && { place, member, value: holding.value };
  }

  confirm({ place, member }: Entry): void {
    const holding = this.#get(place, member);
    if (holding !== undefined) holding.told = true;
  }

  isConfirmed({ place, member }: Entry): boolean {
    return this.#get(place, member)?.told ?? false;
  }

  /** All of them, those of one place together. */
  *entries(): Generator<Entry> {
    for (const { place, members } of this.#places.values()) {
      for (const [member, { value }] of members) yield { place, member, value };
    }
  }

  *members(place: Place): Generator<string> {
    yield* this.#places.get(place.name)?.members.keys() ?? [];
  }

  clear(): void {
    this.#places.clear();
  }

  #get(place: Place, member: string): Holding | undefined {
    return this.#places.get(place.name)?.members.get(member);
  }
}

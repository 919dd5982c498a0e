/** What holds for a room, by its name. */
export interface RoomOptions {
  /** Tell the room who comes and goes: `user_joined` and `user_left`, once in the cluster. Default false. */
  readonly announce?: boolean;
}

/** Policies by pattern: `*` stands for any characters. The first that fits holds. */
export type RoomPolicies = Readonly<Record<string, RoomOptions>>;

/** Finds the policy of a room. */
export class RoomPolicy {
  readonly #policies: readonly {
    readonly parts: readonly string[];
    readonly options: RoomOptions;
  }[];

  constructor(policies: RoomPolicies = {}) {
    this.#policies = Object.entries(policies).map(([pattern, options]) => ({
      parts: pattern.split("*"),
      options,
    }));
  }

  announces(room: string): boolean {
    return this.#find(room)?.announce ?? false;
  }

  #find(room: string): RoomOptions | undefined {
    return this.#policies.find(({ parts }) => fits(room, parts))?.options;
  }
}

/** Whether `name` is `parts` with anything between them. Linear: no backtracking is needed for `*` alone. */
function fits(name: string, parts: readonly string[]): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, from);
    if (found === -1) return false;
    from = found + part.length;
  }
  return name.length - from >= last.length && name.endsWith(last);
}

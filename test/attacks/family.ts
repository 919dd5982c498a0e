import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Target } from "./target.ts";

/** One attack, and the answer that is documented for it. */
export interface Case {
  /** Unique in its family. */
  readonly name: string;
  /** Carries it out; resolves to what the attacker saw. */
  readonly run: (target: Target) => Promise<unknown>;
  /** What that must be, as for `toEqual`. */
  readonly answer: unknown;
}

/** Attacks of one kind; a row of the table in docs/security.md. */
export interface Family {
  readonly name: string;
  /** What is tried, and what comes of it, for readers of the table. */
  readonly tried: string;
  readonly answered: string;
  /** Starts what is attacked. */
  readonly start: () => Promise<Target>;
  readonly cases: readonly Case[];
}

/**
 * Every case of a family, one after the other, on one target: the attacker gets the documented answer, the process lives,
 * and somebody who has nothing to do with it still gets their messages.
 */
export function attack(family: Family): void {
  describe(family.name, () => {
    let target: Target;
    beforeAll(async () => {
      target = await family.start();
    });
    afterAll(() => target.dispose());

    test.each(family.cases.map((one) => [one.name, one] as const))("%s", async (_name, one) => {
      try {
        expect(await one.run(target)).toEqual(one.answer);
      } finally {
        await target.unharmed();
      }
    });
  });
}

/** How a value is called in the name of a case. */
export function shown(value: unknown): string {
  const text =
    typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? "undefined");
  return text.length > 60 ? `${text.slice(0, 50)}… (${text.length})` : text;
}

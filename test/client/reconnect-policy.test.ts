import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Goodbye,
  ReconnectPolicy,
  type Wait,
} from "../../src/client/connection/reconnect-policy.ts";
import { type ClientConfig, resolveClientConfig } from "../../src/protocol/client-config.ts";
import { resolveConfig } from "../../src/protocol/config.ts";

const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** A policy whose connection was made at 0. */
function policy(config: Partial<ClientConfig> = {}, random = 0, renewable = false) {
  return new ReconnectPolicy(resolveClientConfig(config), () => random, renewable);
}

/** What a policy says of a connection that ended at once, after a goodbye. */
function afterGoodbye(
  subject: ReconnectPolicy,
  code: number,
  goodbye: Omit<Goodbye, "code">,
): Wait | undefined {
  subject.opened(0);
  subject.goodbye({ ...goodbye, code }, 0);
  return subject.afterEnd(code, 0);
}

test("attempt n waits d = min(max, base * 2^(n-1)), then d * (1 - jitter * random)", () => {
  const numbers = fc.record({
    reconnectBackoffBaseMs: fc.integer({ min: 0, max: 3_600_000 }),
    reconnectBackoffMaxMs: fc.integer({ min: 0, max: 86_400_000 }),
    reconnectJitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(numbers, randoms, fc.integer({ min: 1, max: 40 }), (config, random, attempts) => {
      const subject = policy({ ...config, reconnectMaxAttempts: 0 }, random);
      for (let n = 1; n <= attempts; n++) {
        const { reconnectBackoffBaseMs: base, reconnectBackoffMaxMs: max } = config;
        const d = Math.min(max, base * 2 ** (n - 1));
        const expected = d * (1 - config.reconnectJitter * random);
        const wait = n % 2 === 0 ? subject.afterEnd(1006, 0) : subject.afterEnd(1006, 0);
        expect(wait?.delayMs).toBeCloseTo(expected, 6);
        expect(wait?.attempt).toBe(n);
      }
    }),
  );
});

test.each([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4403, 4409, 4500, 4999])(
  "close code %i is final",
  (code) => {
    expect(policy().afterEnd(code, 0)).toBeUndefined();
  },
);

test.each([1001, 1005, 1006, 1012, 4000, 4408, 4413, 4499])(
  "after close code %i the client backs off and comes back",
  (code) => {
    expect(policy().afterEnd(code, 0)).toMatchObject({ delayMs: 1000, firm: false });
  },
);

test("an overloaded server gets at least 5 seconds, one that was flooded 10, whatever a goodbye says", () => {
  const soon = { reconnect: true, after_ms: 1 };
  for (const [code, least] of [
    [1013, 5000],
    [4429, 10_000],
  ] as const) {
    expect(policy().afterEnd(code, 0)).toMatchObject({ delayMs: least, firm: true });
    expect(afterGoodbye(policy(), code, soon)).toMatchObject({ delayMs: least, firm: true });
    const patient = policy({ reconnectBackoffBaseMs: 20_000 }, 0.5).afterEnd(code, 0);
    expect(patient?.delayMs).toBe(least + 10_000);
  }
});

test("clients that were lost together come back apart, spread over as long as the least they wait", () => {
  const delays = (lose: (subject: ReconnectPolicy) => Wait | undefined): number[] =>
    Array.from({ length: 1000 }, () => {
      const subject = new ReconnectPolicy(resolveClientConfig(), Math.random, false);
      return lose(subject)?.delayMs ?? Number.NaN;
    });
  const spreads: [least: number, most: number, (subject: ReconnectPolicy) => Wait | undefined][] = [
    [0, 1000, (subject) => subject.afterEnd(1006, 0)],
    [5000, 10_000, (subject) => subject.afterEnd(1013, 0)],
    [15_000, 30_000, (subject) => subject.afterEnd(4008, 0)],
    [10_000, 20_000, (subject) => subject.afterEnd(4429, 0)],
    [7000, 14_000, (subject) => subject.afterEnd(1006, 0, 7000)],
    [0, 4000, (subject) => [1, 2, 3].map(() => subject.afterEnd(1006, 0))[2]],
  ];
  for (const [least, most, lose] of spreads) {
    const all = delays(lose);
    // In each tenth of the time some come back, in none of them more than twice their share.
    for (let tenth = 0; tenth < 10; tenth++) {
      const from = least + ((most - least) * tenth) / 10;
      const to = from + (most - least) / 10;
      const count = all.filter((ms) => ms >= from && ms <= to).length;
      expect(count).toBeGreaterThan(50);
      expect(count).toBeLessThan(200);
    }
  }
});

test("10,000 clients of a server that is dead spread over seconds", () => {
  const times = Array.from({ length: 10_000 }, () => {
    const subject = new ReconnectPolicy(resolveClientConfig(), Math.random, false);
    const waits = [subject.afterEnd(1006, 0), subject.afterEnd(1006, 0), subject.afterEnd(1006, 0)];
    return waits.reduce((sum, wait) => sum + (wait?.delayMs ?? 0), 0);
  }).sort((a, b) => a - b);
  // The middle half of them, at the third attempt; in step it would be 100 ms or so.
  expect((times[7500] ?? 0) - (times[2500] ?? 0)).toBeGreaterThan(1500);
});

test("a goodbye is about the end it announced, not about one much later", () => {
  const never = { code: 1008, reconnect: false, after_ms: 0 };
  for (const [code, lateMs, expected] of [
    [1006, 10_001, 1],
    [1006, 9999, undefined],
    [1012, 3_600_000, 1],
  ] as const) {
    const subject = policy();
    subject.opened(0);
    subject.goodbye(never, 0);
    expect(subject.afterEnd(code, lateMs)?.attempt).toBe(expected);
  }
  const subject = policy();
  subject.opened(0);
  subject.goodbye({ code: 1012, reconnect: true, after_ms: 30_000 }, 0);
  // A restart takes its time to come to everybody.
  expect(subject.afterEnd(1012, 100_000)?.delayMs).toBe(30_000);
});

test("of all attempts there may be only those that are used up are a reason to say so", () => {
  const subject = policy({ reconnectMaxAttempts: 1 });
  expect([subject.afterEnd(1006, 0)?.attempt, subject.isExhausted]).toEqual([1, false]);
  expect([subject.afterEnd(1006, 0), subject.isExhausted]).toEqual([undefined, true]);
  const off = policy({ reconnectMaxAttempts: 1, reconnectEnabled: false });
  expect([off.afterEnd(1006, 0), off.afterEnd(1006, 0), off.isExhausted]).toEqual([
    undefined,
    undefined,
    false,
  ]);
  const final = policy();
  expect([final.afterEnd(1008, 0), final.isExhausted]).toEqual([undefined, false]);
});

test("a goodbye is instead of the client's own delay, and may forbid to come back", () => {
  const goodbye = { reconnect: true, after_ms: 4321 };
  expect(afterGoodbye(policy(), 1012, goodbye)).toMatchObject({ delayMs: 4321, firm: true });
  expect(afterGoodbye(policy(), 1012, { ...goodbye, reconnect: false })).toBeUndefined();
});

test("a goodbye cannot ask for more than a timer can wait, and what is no number asks for nothing", () => {
  const goodbye = (after_ms: unknown) => ({ reconnect: true, after_ms: after_ms as number });
  for (const ms of [2 ** 31, Number.MAX_VALUE, Infinity]) {
    expect(afterGoodbye(policy(), 1012, goodbye(ms))?.delayMs).toBe(2 ** 31 - 1);
  }
  for (const none of [undefined, "soon", Number.NaN, -1]) {
    expect(afterGoodbye(policy(), 1012, goodbye(none))?.delayMs).toBe(1000);
  }
});

test("a server that says goodbye without a delay again and again does not see a client in a loop", () => {
  const subject = policy();
  const now = { reconnect: true, after_ms: 0 };
  const delays = [1, 2, 3].map(() => afterGoodbye(subject, 4413, now)?.delayMs);
  expect(delays).toEqual([0, 2000, 4000]);
});

test("a failing server is left alone after five faults in a row", () => {
  const subject = policy({ reconnectMaxAttempts: 0 });
  for (let i = 0; i < 5; i++) expect(subject.afterEnd(1011, 0)).not.toBeUndefined();
  expect(subject.afterEnd(1011, 0)).toBeUndefined();
  // A connection that lasted five seconds was a good one.
  subject.opened(1000);
  expect(subject.afterEnd(1011, 5999)).toBeUndefined();
  subject.opened(1000);
  expect(subject.afterEnd(1011, 6000)).not.toBeUndefined();
});

test("with too many connections it tries once more after a lease", () => {
  const subject = policy();
  expect(subject.afterEnd(4008, 0)).toMatchObject({ delayMs: 15_000, firm: true });
  expect(subject.afterEnd(4008, 0)).toBeUndefined();
});

test("an expired token is renewed once, at once; without a way to renew it that is the end", () => {
  expect(policy().afterEnd(4401, 0)).toBeUndefined();
  const subject = policy({}, 0, true);
  expect(subject.afterEnd(4401, 0)?.delayMs).toBe(0);
  expect(subject.afterEnd(4401, 0)).toBeUndefined();
  subject.reset();
  expect(subject.afterEnd(4401, 0)?.delayMs).toBe(0);
});

test("attempts in a row have a bound, and are counted anew when the device is back", () => {
  const subject = policy({ reconnectMaxAttempts: 2 });
  expect(subject.afterEnd(1006, 0)).not.toBeUndefined();
  expect(subject.afterEnd(1006, 0)).not.toBeUndefined();
  expect(subject.afterEnd(1006, 0)).toBeUndefined();
  subject.reset();
  expect(subject.afterEnd(1006, 0)?.delayMs).toBe(1000);
});

test("attempts that fail are ruled neither by the goodbye nor by the length of the connection before them", () => {
  const subject = policy();
  subject.opened(0);
  subject.goodbye({ code: 1012, reconnect: true, after_ms: 30_000 }, 10_000);
  expect(subject.afterEnd(1012, 10_000)).toMatchObject({ attempt: 1, delayMs: 30_000 });
  expect(subject.afterEnd(1006, 10_001)).toMatchObject({ attempt: 2, delayMs: 2000 });
  expect(subject.afterEnd(1006, 60_000)).toMatchObject({ attempt: 3, delayMs: 4000 });
});

test("a server that asks for time gets it", () => {
  expect(policy().afterEnd(1006, 0, 30_000)).toMatchObject({
    delayMs: 30_000,
    firm: true,
  });
});

test("a client that shall not reconnect does not", () => {
  expect(policy({ reconnectEnabled: false }).afterEnd(1006, 0)).toBeUndefined();
});

test("the client has the defaults and bounds of the server's configuration", () => {
  const { redisUrl, channelPrefix, ...shared } = resolveConfig();
  expect([redisUrl, channelPrefix]).toEqual([null, "ws:"]);
  expect(shared).toMatchObject(resolveClientConfig());
  const names = Object.keys(resolveClientConfig()) as (keyof ClientConfig)[];
  const values = [-1, 0, 0.5, 1, 99, 100, 3_600_000, 3_600_001, 86_400_001, 0x3fff_ffff, 2 ** 31];
  for (const name of names) {
    for (const value of [...values, "x", Number.NaN, null]) {
      const accepts = (resolve: (config: object) => unknown): boolean => {
        try {
          resolve({ [name]: value });
          return true;
        } catch (error) {
          expect(String(error)).toContain(`config.${name}`);
          return false;
        }
      };
      // Counts and sizes are whole in the environment; half of one does a client no harm.
      if (value === 0.5 && /^max|Attempts$/.test(name)) continue;
      expect([name, value, accepts(resolveClientConfig)]).toEqual([
        name,
        value,
        accepts(resolveConfig),
      ]);
    }
  }
});

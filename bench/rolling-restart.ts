// How soon clients are back while three servers are restarted one after another, and whether they come all at
// once: `npm run bench:rolling-restart`. Ends with 1 if it takes longer, or is less even, than is promised.
import { rollServers } from "../test/support/rolling-restart.ts";

const BACK_WITHIN_MS = 15_000;
const WINDOW_MS = 5000;
const MOST_TIMES_THE_MEAN = 2;

const disposals: (() => unknown)[] = [];
console.log(
  "Restarting three servers behind a balancer, with 1,000 clients and 100 messages a second…",
);
const { enveloped, texts, returns } = await rollServers((dispose) => disposals.push(dispose));
const exact = enveloped.filter(
  ({ faults, texts: got }) => faults.length === 0 && got.join() === texts.join(),
);
console.log(
  `${exact.length} of ${enveloped.length} clients of roomcast.v1 have all ${texts.length} messages`,
);

const away = returns.map(({ awayMs }) => awayMs).sort((a, b) => a - b);
const at = (share: number): number => away[Math.floor(share * (away.length - 1))] ?? 0;
const seconds = (ms: number): string => (ms / 1000).toFixed(1);
console.log(
  `${away.length} times a client was away: ${seconds(at(0.5))} s at the median, ${seconds(at(0.99))} s for 99 ` +
    `of 100, ${seconds(at(1))} s at most (${seconds(BACK_WITHIN_MS)} s promised)`,
);

const times = returns.map((one) => one.at).sort((a, b) => a - b);
const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
const mean = (times.length * WINDOW_MS) / spanMs;
const within = times.map((from, i) => times.slice(i).filter((t) => t < from + WINDOW_MS).length);
const busiest = Math.max(...within) / mean;
console.log(
  `the busiest ${seconds(WINDOW_MS)} s had ${busiest.toFixed(2)} times the mean of returns (${MOST_TIMES_THE_MEAN} promised)`,
);

for (const dispose of disposals.reverse()) await dispose();
const kept =
  exact.length === enveloped.length && at(1) < BACK_WITHIN_MS && busiest <= MOST_TIMES_THE_MEAN;
process.exit(kept ? 0 : 1);

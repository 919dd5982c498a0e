import type { Latencies } from "../meters/latencies.ts";
import type { Load, Result } from "./bench-load.ts";
import { count, milliseconds } from "./figures.ts";
import { printable } from "./printable.ts";

/** Later than this, the load generator was too busy to be trusted, in milliseconds. */
const TOO_LATE_MS = 50;
const BAR = 40;

/** One line that says how far it is. */
export function progressLine(result: Result, elapsedMs: number): string {
  const { stage, connected, sent, delivered, latencies } = result;
  return (
    `${stage.padEnd(10)} ${(elapsedMs / 1000).toFixed(0).padStart(4)} s  ${count(connected)} connected  ` +
    `${count(sent)} sent  ${count(delivered)} delivered  p99 ${milliseconds(latencies.percentile(0.99))}`
  );
}

/** The result as `--json` tells it; times in milliseconds. */
export function toJson(load: Load, result: Result): object {
  return {
    load: { ...load, token: undefined },
    connected: result.connected,
    faults: Object.fromEntries(result.faults),
    sent: result.sent,
    expected: result.expected,
    delivered: result.delivered,
    handshake: percentilesOf(result.handshakes),
    latency: percentilesOf(result.latencies),
    ownDelay: percentilesOf(result.loopDelays),
    trustworthy: isTrustworthy(result),
  };
}

/** What a person reads at the end. */
export function reportLines(load: Load, result: Result): string[] {
  const { connected, faults, sent, expected, delivered, handshakes, latencies } = result;
  const missing = expected - delivered;
  const perSecond = (delivered * 1000) / load.durationMs;
  return [
    `${count(connected)} of ${count(load.connections)} connections, in ${load.rooms} rooms; handshakes ${times(handshakes)}`,
    `${count(sent)} messages of ${load.size} bytes, ${count(delivered)} deliveries (${count(perSecond)}/s)` +
      (missing === 0 ? ", none missing" : `, ${count(missing)} MISSING`),
    ...[...faults].map(([fault, times]) => `${count(times)} times: ${printable(fault)}`),
    "",
    `latency ${times(latencies)}`,
    ...histogram(latencies),
    "",
    isTrustworthy(result)
      ? `This process was at most ${milliseconds(result.loopDelays.max)} late itself.`
      : `This process was up to ${milliseconds(result.loopDelays.max)} late itself: it had too much to do, and the ` +
        "latencies are its own rather than the server's. Use fewer connections, or several of these on other machines.",
  ];
}

function isTrustworthy({ loopDelays }: Result): boolean {
  return loopDelays.percentile(0.95) < TOO_LATE_MS;
}

function percentilesOf(latencies: Latencies): object {
  const [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map((share) => latencies.percentile(share));
  return { count: latencies.count, p50, p90, p99, p999, max: latencies.max };
}

function times(latencies: Latencies): string {
  const at = (share: number): string => milliseconds(latencies.percentile(share));
  return `p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, max ${milliseconds(latencies.max)}`;
}

/** A bar for each doubling that something fell into. */
function histogram(latencies: Latencies): string[] {
  const lines: { readonly label: string; readonly count: number }[] = [];
  for (let to = 0.125; to / 2 < latencies.max; to *= 2) {
    const from = to === 0.125 ? 0 : to / 2;
    lines.push({ label: `≤ ${milliseconds(to)}`, count: latencies.between(from, to) });
  }
  while (lines[0]?.count === 0) lines.shift();
  const most = Math.max(1, ...lines.map((line) => line.count));
  return lines.map(({ label, count: many }) => {
    const bar = "█".repeat(Math.ceil((many / most) * BAR));
    return `${label.padStart(10)} ${bar.padEnd(BAR)} ${count(many)}`;
  });
}

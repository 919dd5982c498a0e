import type { Histogram } from "../meters/histogram.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";

/** What tells the values of one metric apart. Clients choose none of them. */
export type Labels = Readonly<Record<string, string | number>>;

export interface Value {
  readonly labels: Labels;
  readonly value: number;
}

export interface Distribution {
  readonly labels: Labels;
  readonly histogram: Histogram;
}

interface Described {
  /** Without its prefix, which all have. */
  readonly name: string;
  readonly help: string;
}

/** A metric as one manager has it; read when Prometheus asks. */
export type Reading =
  | (Described & {
      readonly type: "counter" | "gauge";
      read(manager: ConnectionManager): readonly Value[];
    })
  | (Described & {
      readonly type: "histogram";
      read(manager: ConnectionManager): readonly Distribution[];
    });

const NO_LABELS: Labels = {};
/** Codes that mean something here; clients may close with any of 3000 to 4999. */
const KNOWN_CODES: ReadonlySet<number> = new Set(Object.values(CloseCode));

export const READINGS: readonly Reading[] = [
  counter("connections_total", "Connections that were accepted.", (manager) => [
    one(manager.counters.connections),
  ]),
  gauge("connections_active", "Connections that are open.", (manager) => [
    one(manager.connectionCount),
  ]),
  gauge("users_active", "Users with a connection here.", (manager) => [
    one(manager.activeUsers.length),
  ]),
  gauge("rooms_active", "Rooms with a member here.", (manager) => [one(manager.roomCount)]),
  counter(
    "messages_sent_total",
    "Messages queued to connections, by whom they were sent to; a message to a room counts its recipients.",
    ({ counters }) => byLabel("type", Object.entries(counters.sent)),
  ),
  counter("messages_received_total", "Messages that clients sent.", ({ counters }) =>
    byLabel("type", Object.entries(counters.received)),
  ),
  histogram("message_processing_seconds", "How long handlers take for a message.", ({ counters }) =>
    Object.entries(counters.processingSeconds).map(([type, distribution]) => ({
      labels: { type },
      histogram: distribution,
    })),
  ),
  histogram(
    "fanout_seconds",
    "From when a message is queued here to when everybody here who is owed it was written to.",
    ({ counters }) => [{ labels: NO_LABELS, histogram: counters.fanOutSeconds }],
  ),
  histogram(
    "publish_seconds",
    "How long the backplane takes to accept a message and bring it back here.",
    ({ counters }) => [{ labels: NO_LABELS, histogram: counters.publishSeconds }],
  ),
  counter("bytes_received_total", "Payloads of clients.", ({ counters }) => [
    one(counters.bytesReceived),
  ]),
  counter("bytes_sent_total", "Frames handed to sockets.", ({ counters }) => [
    one(counters.bytesSent),
  ]),
  counter(
    "bytes_laid_out_total",
    "Frames laid out in memory; bytes sent for each of these is how far connections share them.",
    ({ counters }) => [one(counters.bytesLaidOut)],
  ),
  counter("writes_total", "Times a socket was handed something.", ({ counters }) => [
    one(counters.writes),
  ]),
  gauge("bytes_waiting", "What is kept for readers that have not taken it.", (manager) => [
    one(manager.connections().reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0)),
  ]),
  counter("slow_readers_total", "Readers given up because they did not keep up.", (manager) => [
    one(manager.counters.slowReaders),
  ]),
  counter("rate_limited_total", "Messages dropped because a client sent too fast.", (manager) => [
    one(manager.counters.rateLimited),
  ]),
  counter("closed_total", "Connections that have ended, by close code.", ({ counters }) =>
    byCode(counters.closed),
  ),
  counter("handshakes_refused_total", "Handshakes refused, by HTTP status.", ({ counters }) =>
    byLabel("status", counters.refused),
  ),
  counter("errors_total", "Errors that reached the error event, by stage.", ({ counters }) =>
    byLabel("stage", counters.failures),
  ),
  counter("resumes_total", "Rooms that clients resumed, by what came of it.", ({ history }) =>
    byLabel("outcome", Object.entries(history.resumes)),
  ),
  counter("gaps_total", "Times members were told that messages were lost.", ({ history }) => [
    one(history.gaps),
  ]),
  gauge("ring_bytes", "Recent durable messages kept for resumes.", ({ history }) => [
    one(history.ringBytes),
  ]),
  gauge("backplane_connected", "1 while the backplane is reachable.", ({ status }) => [
    one(status === "degraded" ? 0 : 1),
  ]),
  gauge(
    "ready",
    "1 while the instance is healthy, 0 while it is degraded or draining.",
    (manager) => [one(manager.status === "healthy" ? 1 : 0)],
  ),
];

function counter(
  name: string,
  help: string,
  read: (manager: ConnectionManager) => readonly Value[],
): Reading {
  return { name, help, type: "counter", read };
}

function gauge(
  name: string,
  help: string,
  read: (manager: ConnectionManager) => readonly Value[],
): Reading {
  return { name, help, type: "gauge", read };
}

function histogram(
  name: string,
  help: string,
  read: (manager: ConnectionManager) => readonly Distribution[],
): Reading {
  return { name, help, type: "histogram", read };
}

function one(value: number): Value {
  return { labels: NO_LABELS, value };
}

function byLabel(label: string, values: Iterable<readonly [string | number, number]>): Value[] {
  return [...values].map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function byCode(closed: ReadonlyMap<number, number>): Value[] {
  const known: Value[] = [];
  let others = 0;
  for (const [code, value] of closed) {
    if (KNOWN_CODES.has(code)) known.push({ labels: { code }, value });
    else others += value;
  }
  return others === 0 ? known : [...known, { labels: { code: "other" }, value: others }];
}

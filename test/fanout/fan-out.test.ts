import fc from "fast-check";
import { expect, test } from "vitest";
import { DenseSet } from "../../src/fanout/dense-set.ts";
import { type EventLoop, FanOut, type Framed } from "../../src/fanout/fan-out.ts";
import { Recipient } from "../../src/fanout/recipient.ts";
import { cutHoles, type Hole, type Sequence } from "../../src/fanout/sequence.ts";
import { Counters } from "../../src/meters/counters.ts";
import { Frame } from "../../src/protocol/frame.ts";

/** Keeps what it would have written. */
class RecordingRecipient extends Recipient {
  readonly written: Buffer[] = [];
  writes = 0;

  override write(sequence: Sequence, holes: readonly Hole[] | null): void {
    this.writes++;
    this.written.push(...(holes === null ? sequence.runs : cutHoles(sequence, holes)));
  }

  override writeFailed(error: unknown): void {
    throw error;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.written);
  }
}

/** An event loop whose turns and clock the test decides. */
class ManualLoop implements EventLoop {
  #flush: (() => void) | null = null;
  #time = 0;
  /** What reading the clock once costs, in milliseconds. */
  costMs = 0;

  schedule(flush: () => void): void {
    if (this.#flush !== null) throw new Error("A flush was scheduled twice for one turn.");
    this.#flush = flush;
  }

  now(): number {
    this.#time += this.costMs;
    return this.#time;
  }

  /** Whether there was something to flush. */
  end(): boolean {
    const flush = this.#flush;
    this.#flush = null;
    flush?.();
    return flush !== null;
  }
}

/** A message that is the same for all, and that the excepted get nothing for. */
function plainly(frame: Frame): Framed {
  return { frame: () => frame, instead: () => null };
}

function frameOf(text: string): Frame {
  return new Frame({ data: Buffer.from(text), binary: false });
}

/** Every third takes its messages in envelopes, if `mixed`. */
function recipients(count: number, mixed = false): RecordingRecipient[] {
  return Array.from({ length: count }, (_, i) => new RecordingRecipient(mixed && i % 3 === 0));
}

const CONNECTIONS = 40;
const ROOMS = 4;
const connection = fc.nat(CONNECTIONS - 1);
const room = fc.nat(ROOMS - 1);
const size = fc.oneof(fc.nat(200), fc.constantFrom(30_000, 65_530, 65_536, 70_000));

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("join" as const), room, connection }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), room, connection }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("broadcast" as const),
      room,
      size,
      except: fc.uniqueArray(connection, { maxLength: 5 }),
      waiting: fc.uniqueArray(connection, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("send" as const), connection, size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), connection }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("turn" as const), costMs: fc.nat(9) }) },
);

test("every connection gets the bytes a plain loop would have written, in order", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const turn = new ManualLoop();
      const fanOut = new FanOut(new Counters(), turn);
      const all = recipients(CONNECTIONS, true);
      const rooms = Array.from({ length: ROOMS }, () => new DenseSet<RecordingRecipient>());
      const expected = all.map((): Buffer[] => []);
      let sent = 0;
      for (const op of operations) {
        const one = "connection" in op ? all[op.connection] : undefined;
        const group = "room" in op ? rooms[op.room] : undefined;
        switch (op.do) {
          case "join":
            if (one !== undefined) group?.add(one);
            break;
          case "leave":
            if (one !== undefined) group?.delete(one);
            break;
          case "broadcast": {
            const plain = frameOf(`${sent} `.padEnd(op.size, "x"));
            const enveloped = frameOf(`enveloped ${sent} `.padEnd(op.size, "x"));
            const skipped = frameOf(`skip ${sent++}`);
            const forms: Framed = {
              frame: (isEnveloped) => (isEnveloped ? enveloped : plain),
              instead: (isEnveloped) => (isEnveloped ? skipped : null),
            };
            const members = group?.items ?? [];
            const pick = (indexes: readonly number[]): RecordingRecipient[] =>
              indexes.flatMap((index) => all[index] ?? []).filter((one) => group?.has(one));
            const left = pick(op.except);
            const waiting = pick(op.waiting).filter((one) => !left.includes(one));
            fanOut.deliverAll(forms, members, left, waiting);
            for (const member of members) {
              const bytes = expected[all.indexOf(member)];
              if (waiting.includes(member)) continue;
              if (!left.includes(member)) bytes?.push(forms.frame(member.enveloped).bytes);
              else if (member.enveloped) bytes?.push(skipped.bytes);
            }
            break;
          }
          case "send": {
            const frame = frameOf(`${sent++} `.padEnd(op.size, "y"));
            if (one === undefined) break;
            fanOut.deliver(frame, one);
            expected[op.connection]?.push(frame.bytes);
            break;
          }
          case "close":
            // What is pending goes out before a close frame.
            one?.flush();
            expect(one?.bytes).toEqual(Buffer.concat(expected[op.connection] ?? []));
            break;
          case "turn":
            turn.costMs = op.costMs;
            turn.end();
        }
      }
      while (turn.end());
      for (const [index, recipient] of all.entries()) {
        expect(recipient.bytes.equals(Buffer.concat(expected[index] ?? []))).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test("connections that were sent the same write the same buffer, once in a turn", () => {
  const turn = new ManualLoop();
  const fanOut = new FanOut(new Counters(), turn);
  const members = recipients(100);
  for (let i = 0; i < 50; i++) fanOut.deliverAll(plainly(frameOf(`message ${i}`)), members, [], []);
  turn.end();
  const [first] = members[0]?.written ?? [];
  for (const member of members) {
    expect(member.writes).toBe(1);
    expect(member.written).toHaveLength(1);
    expect(member.written[0]).toBe(first);
  }
});

test("half a room sending at once, each excepted from its own, shares the bytes around the holes", () => {
  const turn = new ManualLoop();
  const fanOut = new FanOut(new Counters(), turn);
  const members = recipients(100);
  const frames = members.slice(0, 50).map((_, i) => frameOf(`from ${i}`));
  for (const [i, frame] of frames.entries())
    fanOut.deliverAll(plainly(frame), members, [members[i] ?? []].flat(), []);
  turn.end();
  const shared = members[99]?.written[0];
  for (const [i, member] of members.entries()) {
    const expected = frames.filter((_, sender) => sender !== i).map((frame) => frame.bytes);
    expect(member.bytes).toEqual(Buffer.concat(expected));
    for (const piece of member.written) expect(piece.buffer).toBe(shared?.buffer);
  }
});

test("a large frame is written without being copied", () => {
  const turn = new ManualLoop();
  const fanOut = new FanOut(new Counters(), turn);
  const [recipient = new RecordingRecipient(false)] = recipients(1);
  const large = frameOf("x".repeat(100_000));
  fanOut.deliver(frameOf("before"), recipient);
  fanOut.deliver(large, recipient);
  fanOut.deliver(frameOf("after"), recipient);
  turn.end();
  expect(recipient.written).toHaveLength(3);
  expect(recipient.written[1]).toBe(large.bytes);
});

test("a flush that takes long goes on in the next turn, and nobody is forgotten", () => {
  const turn = new ManualLoop();
  const fanOut = new FanOut(new Counters(), turn);
  const members = recipients(100);
  fanOut.deliverAll(plainly(frameOf("first")), members, [], []);
  turn.costMs = 5;
  turn.end();
  const written = members.filter((member) => member.writes > 0).length;
  expect(written).toBeGreaterThan(0);
  expect(written).toBeLessThan(100);
  fanOut.deliverAll(plainly(frameOf("second")), members, [], []);
  while (turn.end());
  for (const member of members) {
    expect(member.bytes).toEqual(Buffer.concat([frameOf("first").bytes, frameOf("second").bytes]));
  }
});

test("how long a message waited is counted when it has been written, and not again when there is nothing left", () => {
  const turn = new ManualLoop();
  const counters = new Counters();
  const fanOut = new FanOut(counters, turn);
  const [recipient = new RecordingRecipient(false)] = recipients(1);
  // One more than may wait for the end of the turn.
  for (let i = 0; i <= 100_000; i++) fanOut.deliver(frameOf("x"), recipient);
  expect(recipient.writes).toBe(1);
  turn.end();
  expect(counters.fanOutSeconds.count).toBe(1);
});

test("a turn with very many different sequences is flushed before it ends", () => {
  const turn = new ManualLoop();
  const fanOut = new FanOut(new Counters(), turn);
  const [recipient = new RecordingRecipient(false)] = recipients(1);
  for (let i = 0; i < 150_000; i++) fanOut.deliver(frameOf("x"), recipient);
  expect(recipient.writes).toBe(1);
  turn.end();
  expect(recipient.bytes.length).toBe(150_000 * 3);
});

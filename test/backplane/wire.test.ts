import fc from "fast-check";
import { expect, test } from "vitest";
import type { Packet } from "../../src/backplane/contract/broker.ts";
import { decodePackets, encodePacket, encodePackets } from "../../src/backplane/core/wire.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";

const ORIGIN = { incarnation: "a#1", epoch: 3 };

const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc
    .tuple(fc.string(), fc.boolean(), fc.array(fc.string()))
    .map(([text, excepts, users]): Packet => {
      const except = excepts ? { connections: [], users } : null;
      return { type: "message", message: EncodedMessage.from(text), except };
    }),
  fc.uint8Array().map((data): Packet => {
    const message = new EncodedMessage({ data: Buffer.from(data), binary: true });
    return { type: "message", message, except: null };
  }),
  fc.string().map((room): Packet => ({ type: "join", room, version: 7 })),
);

function plain(packet: Packet | undefined): unknown {
  if (packet?.type !== "message") return packet;
  const { data, binary } = packet.message;
  return { ...packet, message: { data: data.toString("hex"), binary } };
}

test("packets that travel together come out as they went in, in their order", () => {
  fc.assert(
    fc.property(fc.array(packets, { minLength: 1 }), (all) => {
      const numbered = all.map((packet, index) => ({ sequence: index + 5, packet }));
      const envelopes = decodePackets(encodePackets(ORIGIN, numbered)) ?? [];
      expect(envelopes.map(({ packet }) => plain(packet))).toEqual(all.map(plain));
      expect(envelopes.map(({ origin }) => origin)).toEqual(
        numbered.map(({ sequence }) => ({ ...ORIGIN, sequence })),
      );
    }),
  );
});

test("what is cut short, or of a later version, is garbage: never text for clients, and nothing throws", () => {
  const message = { type: "message", message: EncodedMessage.from("hello"), except: null } as const;
  const several = encodePackets(ORIGIN, [
    { sequence: 1, packet: message },
    { sequence: 2, packet: message },
  ]);
  const one = encodePacket({ ...ORIGIN, sequence: 1 }, message);
  for (let length = 4; length < several.length; length++) {
    expect(decodePackets(several.subarray(0, length))).toBe(null);
  }
  for (const bytes of [several, one]) {
    const later = Buffer.from(bytes);
    later[3] = 9;
    expect(decodePackets(later)).toBe(null);
  }
  fc.assert(
    fc.property(fc.nat(several.length - 1), fc.nat(255), (at, byte) => {
      const damaged = Buffer.from(several);
      damaged[at] = byte;
      decodePackets(damaged);
    }),
  );
});

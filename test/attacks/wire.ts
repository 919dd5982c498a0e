import { clientFrame } from "../support/raw-handshake.ts";
import type { Case } from "./family.ts";
import { outcome } from "./target.ts";

/** What is written to a WebSocket right after its handshake. */
export function bytes(
  name: string,
  attack: Uint8Array,
  answer: unknown,
  protocol: string | null = null,
): Case {
  return {
    name,
    answer,
    run: async (target) => {
      const client = await target.upgraded("/ws?user=mallory", protocol);
      client.write(attack);
      return outcome(client);
    },
  };
}

/** A text of any length. */
export function frameOf(text: string): Buffer {
  const data = Buffer.from(text);
  if (data.length < 65_536) return clientFrame(1, data);
  const header = Buffer.alloc(14);
  header.set([0x81, 0x80 | 127]);
  header.writeBigUInt64BE(BigInt(data.length), 2);
  return Buffer.concat([header, data]);
}

import { clientFrame } from "../../support/raw-handshake.ts";
import type { Case, Family } from "../family.ts";
import { Target } from "../target.ts";
import { bytes } from "../wire.ts";
import { messages } from "./messages.ts";

/** What RFC 6455 sections 5.2 to 5.5 say of one frame with the payload `x`. */
function verdict(opcode: number, fin: boolean, rsv: number, masked: boolean): unknown {
  const isControl = opcode >= 8;
  const isKnown = opcode <= 2 || (opcode >= 8 && opcode <= 10);
  if (rsv !== 0 || !isKnown || !masked || (isControl && !fin)) return { closed: 1002 };
  // Nothing to continue; a reason without a code.
  if (opcode === 0 || opcode === 8) return { closed: 1002 };
  if (!fin || opcode === 9 || opcode === 10) return { errors: [] };
  return { errors: [opcode === 1 ? "bad_json" : "unsupported_data"] };
}

const headers: Case[] = [];
for (let opcode = 0; opcode < 16; opcode++) {
  for (const fin of [true, false]) {
    for (let rsv = 0; rsv < 8; rsv++) {
      for (const masked of [true, false]) {
        const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
        const frame = masked ? [first, 0x81, 0, 0, 0, 0, 0x78] : [first, 0x01, 0x78];
        const name = `opcode ${opcode}, ${fin ? "final" : "not final"}, RSV ${rsv}, ${masked ? "masked" : "not masked"}`;
        headers.push(bytes(name, Buffer.from(frame), verdict(opcode, fin, rsv, masked)));
      }
    }
  }
}

function close(code: number, reason: string | Uint8Array = ""): Buffer {
  return clientFrame(
    8,
    Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason as string)]),
  );
}

const GOOD_CODES = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4401,
  4999,
];
const BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535];
const closes = [
  ...GOOD_CODES.map((code) => bytes(`a close with ${code}`, close(code), { closed: code })),
  ...BAD_CODES.map((code) =>
    bytes(`a close with ${code}, which nobody may send`, close(code), { closed: 1002 }),
  ),
  bytes("a close without a code", clientFrame(8), { closed: 1005 }),
  bytes("a close whose reason is no UTF-8", close(1000, Buffer.from([0xff])), { closed: 1007 }),
  bytes("a close with the longest reason", close(1000, "x".repeat(123)), { closed: 1000 }),
];

/** RFC 3629 section 3: each of these is none. */
const NO_UTF8 = [
  "80",
  "bf",
  "c0",
  "c080",
  "c1bf",
  "c2",
  "c220",
  "df",
  "e0",
  "e080",
  "e08080",
  "e09fbf",
  "e1",
  "e180",
  "e18020",
  "eda080",
  "edbfbf",
  "eda080edb080",
  "ef",
  "efbf",
  "f0",
  "f080",
  "f0808080",
  "f08fbfbf",
  "f1",
  "f18080",
  "f4908080",
  "f5808080",
  "f8888080",
  "fc84808080",
  "fe",
  "ff",
  "78ff78",
  "7bff7d",
  "22c022",
];
const utf8 = NO_UTF8.flatMap((hex) => [
  bytes(`text of the bytes ${hex}`, clientFrame(1, Buffer.from(hex, "hex")), { closed: 1007 }),
  bytes(
    `text of the bytes ${hex} in a fragment`,
    Buffer.concat([clientFrame(1, "{", false), clientFrame(0, Buffer.from(hex, "hex"))]),
    { closed: 1007 },
  ),
]);

function length(byte: number, ...rest: number[]): Buffer {
  return Buffer.from([0x81, 0x80 | byte, ...rest, 0, 0, 0, 0]);
}

const sizes = [
  bytes("a length of 2^63", length(127, 0x80, 0, 0, 0, 0, 0, 0, 0), { closed: 1009 }),
  bytes("a length of 2^64 - 1", length(127, 255, 255, 255, 255, 255, 255, 255, 255), {
    closed: 1009,
  }),
  bytes("a length of 2^53", length(127, 0, 0x20, 0, 0, 0, 0, 0, 0), { closed: 1009 }),
  bytes("a length of 1 MiB and 1", length(127, 0, 0, 0, 0, 0, 0x10, 0, 1), { closed: 1009 }),
  bytes("a length of 4 GiB", length(127, 0, 0, 0, 1, 0, 0, 0, 0), { closed: 1009 }),
  bytes("a ping of 126 bytes", clientFrame(9, "x".repeat(126)), { closed: 1002 }),
  bytes("a pong of 65535 bytes", clientFrame(10, "x".repeat(65_535)), { closed: 1002 }),
  bytes("a close of 126 bytes", close(1000, "x".repeat(124)), { closed: 1002 }),
  bytes("a text in a text", Buffer.concat([clientFrame(1, "a", false), clientFrame(1, "b")]), {
    closed: 1002,
  }),
  bytes("bytes in a text", Buffer.concat([clientFrame(1, "a", false), clientFrame(2, "b")]), {
    closed: 1002,
  }),
  bytes(
    "16,385 fragments",
    Buffer.concat([
      clientFrame(1, "", false),
      ...Array<Buffer>(16_385).fill(clientFrame(0, "x", false)),
    ]),
    {
      closed: 1008,
    },
  ),
];

export const frames: Family = {
  name: "frames",
  tried:
    "every opcode, FIN, RSV and mask; lengths, close codes and UTF-8 that are none; nested and broken JSON; objects that cannot be made text, in every field of `/ws` and of `roomcast.v1`",
  answered: "1002, 1007, 1008, 1009, or an `error` frame that names the fault",
  start: () => Target.start(),
  cases: [...headers, ...closes, ...utf8, ...sizes, ...messages],
};

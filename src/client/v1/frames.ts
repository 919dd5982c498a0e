import type { ReceivedMessage } from "../options.ts";
import { splitBinary } from "./message-frame.ts";

type Reader<T> = (value: unknown) => T;
type Fields = Readonly<Record<string, unknown>>;

const text: Reader<string> = (value) => {
  if (typeof value === "string") return value;
  throw new TypeError("not a text");
};
const textOrNone: Reader<string | undefined> = (value) =>
  value === undefined || value === null ? undefined : text(value);
/** What is no number asks for nothing. */
const number: Reader<number> = (value) => (typeof value === "number" ? value : Number.NaN);
const flag: Reader<boolean> = (value) => value === true;
const notFalse: Reader<boolean> = (value) => value !== false;
const anything: Reader<unknown> = (value) => value;

/** What frames of each type have (docs/PROTOCOL.md, sections 4 and 9), as far as a client has use for it. */
interface Frames {
  welcome: { readonly connection: string | undefined };
  message: {
    readonly room: string | undefined;
    readonly id: string | undefined;
    readonly prev: string | undefined;
    readonly skip: boolean;
    readonly data: string | undefined;
  };
  replay: { readonly message_id: string; readonly data: unknown };
  joined: {
    readonly room: string;
    /** Anything but true and false: nothing was asked. */
    readonly recovered: unknown;
    readonly position: string | undefined;
  };
  left: { readonly room: string };
  gap: { readonly room: string };
  ack: { readonly id: string; readonly data: unknown };
  error: {
    readonly code: string;
    readonly message: string;
    readonly id: string | undefined;
    readonly room: string | undefined;
  };
  pong: { readonly t: number };
  goodbye: { readonly code: number; readonly reconnect: boolean; readonly after_ms: number };
  refresh: object;
}

/** A frame whose fields were checked, and the bytes that came with it. */
export type IncomingFrame = {
  readonly [Type in keyof Frames]: Frames[Type] & {
    readonly type: Type;
    readonly bytes: Uint8Array | undefined;
  };
}[keyof Frames];

/** How each field is read; others are ignored. */
const PARSERS: {
  readonly [Type in keyof Frames]: {
    readonly [Field in keyof Frames[Type]]: Reader<Frames[Type][Field]>;
  };
} = {
  welcome: { connection: textOrNone },
  message: { room: textOrNone, id: textOrNone, prev: textOrNone, skip: flag, data: textOrNone },
  replay: { message_id: text, data: anything },
  joined: { room: text, recovered: anything, position: textOrNone },
  left: { room: text },
  gap: { room: text },
  ack: { id: text, data: anything },
  error: { code: text, message: text, id: textOrNone, room: textOrNone },
  pong: { t: number },
  goodbye: { code: number, reconnect: notFalse, after_ms: number },
  refresh: {},
};

/**
 * Reads a frame of a server. Undefined: one of a type that is not known, which is ignored, as the protocol wants.
 *
 * @throws TypeError or SyntaxError if it is no frame, or lacks what its type has to have.
 */
export function parseFrame(frame: ReceivedMessage): IncomingFrame | undefined {
  const [header, bytes] = typeof frame === "string" ? [frame] : splitBinary(frame);
  const fields: Fields = Object(JSON.parse(header));
  const { type } = fields;
  if (typeof type !== "string" || !Object.hasOwn(PARSERS, type)) return undefined;
  const parser: Record<string, Reader<unknown>> = { ...PARSERS[type as keyof Frames] };
  const read = Object.entries(parser).map(([name, reader]) => [name, reader(fields[name])]);
  // The one place where what was checked gets its type.
  return { ...Object.fromEntries(read), type, bytes } as IncomingFrame;
}

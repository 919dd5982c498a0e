import type { Principal } from "../auth/authenticator.ts";
import { parsePosition } from "../history/position.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { openBinary } from "../protocol/envelope.ts";
import { isName, quote } from "../protocol/names.ts";
import {
  EVERYONE,
  MAX_MESSAGE_ID_LENGTH,
  MAX_RESUMED_IN_ALL,
  MAX_RESUMED_ROOMS,
} from "../protocol/roomcast-v1.ts";
import type { Inbound } from "./inbound.ts";
import { type Answerer, JsonGate } from "./json-gate.ts";
import type { Correspondent, Receipts } from "./receipts.ts";

/** How long room output waits for the client's `resume`, in milliseconds, to within a tick of the deadlines. */
const RESUME_WAIT_MS = 1500;
/** A token is asked for anew when this much of its time is left: a fifth, but no more than a minute. */
const REFRESH_SHARE = 0.2;
const REFRESH_MAX_MS = 60_000;

/** For clients that want to choose where only the application does. */
const NO_CHOICE = "Clients do not choose their rooms here.";

/** The connection a session belongs to. None of these may throw. */
export interface SessionOwner extends Correspondent, Answerer {
  readonly principal: Principal | null;
  readonly expiresAt: number;
  readonly rooms: ReadonlySet<string>;
  /** Whether joining asks an `authorize`; then the client may ask for rooms by itself. */
  readonly authorizes: boolean;
  /** Joins as the client asks. Resolves when it is in the room, or was told why not. */
  admit(room: string): Promise<void>;
  leave(room: string): Promise<boolean>;
  /** Takes a new credential in place of the old. */
  renewed(principal: Principal): void;
  /** What waited for the `resume` may come. */
  ready(): void;
}

/** Checks a fresh token: whose it is, null if it is not valid. Rejects if that cannot be checked. */
export type Renew = (token: string) => Promise<Principal | null>;

type Fields = Readonly<Record<string, unknown>>;

/**
 * What a connection that speaks `roomcast.v1` has beyond others: the positions its client holds, and the
 * frames it sends. Messages go on to the inbox, in order.
 */
export class Session {
  /** Where the client stands in its rooms, as its `resume` said. */
  readonly positions: Map<string, string> = new Map();
  readonly #owner: SessionOwner;
  readonly #inbound: Inbound;
  /** For the frames; what is in the messages is the inbound's concern. */
  readonly #gate: JsonGate;
  readonly #receipts: Receipts;
  readonly #renew: Renew | null;
  readonly #openedAt: number = performance.now();
  #isReady = false;
  /** The last frame of the resume has come. */
  #hasResumed = false;
  /** Rooms in the frames of the resume. */
  #resumed = 0;
  #refreshAt: number;
  /** Settles when the last message with an id was claimed; null if none is waiting for that. */
  #claiming: Promise<void> | null = null;
  #renewing = false;

  constructor(owner: SessionOwner, inbound: Inbound, receipts: Receipts, renew: Renew | null) {
    this.#owner = owner;
    this.#inbound = inbound;
    this.#gate = new JsonGate(owner);
    this.#receipts = receipts;
    this.#renew = renew;
    this.#refreshAt = this.#whenToRefresh();
  }

  /** Whether the client has said where it stands, or was given the time to. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Looks at what is due; `now` on the clock of `performance.now()`, `date` in milliseconds since the epoch. */
  tick(now: number, date: number): void {
    if (!this.#isReady && now - this.#openedAt >= RESUME_WAIT_MS) this.#becomeReady();
    if (date < this.#refreshAt) return;
    this.#refreshAt = Number.POSITIVE_INFINITY;
    const leftMs = Math.max(0, Math.round(this.#owner.expiresAt - date));
    this.#owner.tell({ type: "refresh", in_ms: leftMs });
  }

  /** Takes a frame of the client. */
  receive(bytes: Buffer, binary: boolean): void {
    if (!binary) {
      const parsed = this.#gate.parse(bytes.toString());
      if (parsed.ok) this.#take(parsed.value, null);
      return;
    }
    const opened = openBinary(bytes);
    if (opened === null) {
      this.#refuse("bad_frame", "A binary frame is the length of a header (2 bytes), JSON, data.");
      return;
    }
    const parsed = this.#gate.parse(opened.header);
    if (parsed.ok) this.#take(parsed.value, opened.data);
  }

  #take(frame: unknown, bytes: Buffer | null): void {
    const fields: Fields = isObject(frame) ? frame : {};
    if (fields.type !== "resume" && !this.#isReady) this.#becomeReady();
    if (bytes !== null && fields.type !== "message") {
      this.#refuse("bad_frame", "Only messages may be sent in binary frames.");
      return;
    }
    switch (fields.type) {
      case "message":
        this.#takeMessage(fields, bytes);
        break;
      case "resume":
        this.#takeResume(fields);
        break;
      case "join":
      case "leave":
        this.#takeWish(fields.type, fields.room);
        break;
      case "auth":
        this.#takeToken(fields);
        break;
      case "ping":
        this.#gate.accept();
        this.#owner.tell({ type: "pong", ...("t" in fields && { t: fields.t }) });
        break;
      default: {
        const allowed = "message, resume, join, leave, auth or ping";
        this.#refuse("unknown_type", `type must be ${allowed}, not ${quote(String(fields.type))}.`);
      }
    }
  }

  #takeMessage({ id, data }: Fields, bytes: Buffer | null): void {
    if (id !== undefined && !isMessageId(id)) {
      const allowed = `text of 1 to ${MAX_MESSAGE_ID_LENGTH} characters`;
      this.#refuse("bad_id", `The id of a message must be ${allowed}.`);
      return;
    }
    const message = bytes ?? toText(data);
    if (message === null) {
      this.#refuse("bad_frame", "A message needs data.");
      return;
    }
    this.#gate.accept();
    if (id === undefined && this.#claiming === null) {
      this.#inbound.accept(message, null);
      return;
    }
    this.#queue(async () => {
      const receipt = id === undefined ? null : await this.#receipts.open(this.#owner, id);
      if (id === undefined || receipt !== null) this.#inbound.accept(message, receipt);
    });
  }

  /** One after another, so that messages stay in order. The client is held up meanwhile. */
  #queue(work: () => Promise<void>): void {
    if (this.#claiming === null) this.#inbound.pause();
    const claiming = (this.#claiming ?? Promise.resolve()).then(work).then(() => {
      if (this.#claiming !== claiming) return;
      this.#claiming = null;
      this.#inbound.resume();
    });
    this.#claiming = claiming;
  }

  /** Calls `callback` when every message that has come is in the inbox. */
  whenIdle(callback: () => void): void {
    if (this.#claiming === null) callback();
    else void this.#claiming.then(callback);
  }

  #takeResume({ rooms = {}, more }: Fields): void {
    if (this.#hasResumed) {
      this.#refuse("late_resume", "resume may be sent once, in as many frames as it takes.");
      return;
    }
    this.#hasResumed = more !== true;
    const asked = isObject(rooms) ? Object.entries(rooms) : null;
    this.#resumed += asked?.length ?? 0;
    if (asked === null || asked.length > MAX_RESUMED_ROOMS || this.#resumed > MAX_RESUMED_IN_ALL) {
      const allowed = `an object of at most ${MAX_RESUMED_ROOMS} positions, ${MAX_RESUMED_IN_ALL} in all`;
      this.#refuse("bad_frame", `The rooms of resume must be ${allowed}.`);
    } else {
      this.#gate.accept();
      const valid = asked.filter(([room, position]) => this.#keep(room, position));
      if (this.#owner.authorizes) this.#admit(valid.map(([room]) => room));
    }
    if (this.#hasResumed) this.#becomeReady();
  }

  /** The client wants to be in a room, or not to be: where the route says who may. */
  #takeWish(type: "join" | "leave", room: unknown): void {
    if (!isName(room)) {
      this.#refuse("bad_room", `${type} needs the name of a room.`);
      return;
    }
    this.#gate.accept();
    if (!this.#owner.authorizes) {
      this.#tell("forbidden", NO_CHOICE, room);
    } else if (type === "join") {
      this.#admit([room]);
    } else {
      this.#queue(async () => {
        this.#owner.leave(room).catch((error) => this.#owner.report(error, "leave"));
      });
    }
  }

  /** What comes after this, such as a message to leave a room, is handled after it. */
  #admit(rooms: readonly string[]): void {
    const joining = rooms.filter((room) => room !== EVERYONE);
    if (joining.length === 0) return;
    this.#queue(async () => {
      await Promise.all(joining.map((room) => this.#owner.admit(room)));
    });
  }

  /**
   * Keeps where the client stands in a room until it is joined to it. Whether it can be. What is wrong with one room
   * is told of that room, and is no reason to end the connection: positions come from where clients store them.
   */
  #keep(room: string, position: unknown): boolean {
    const isIn = this.#isReady && (room === EVERYONE || this.#owner.rooms.has(room));
    if (room !== EVERYONE && !isName(room)) {
      this.#tell("bad_room", "This is not the name of a room.", room);
    } else if (position === true && !this.#owner.authorizes) {
      this.#tell("forbidden", NO_CHOICE, room);
    } else if (position === null || position === true) {
      return true;
    } else if (typeof position !== "string" || parsePosition(position) === null) {
      this.#tell("bad_position", "The position is none.", room);
      return true;
    } else if (isIn) {
      this.#tell("late_resume", "The connection is in the room already.", room);
    } else {
      this.positions.set(room, position);
      return true;
    }
    return false;
  }

  #takeToken({ token }: Fields): void {
    const renew = this.#renew;
    if (typeof token !== "string" || token.trim() === "") {
      this.#refuse("bad_frame", "auth needs a token.");
    } else if (renew === null || this.#owner.principal === null) {
      this.#refuse("auth_failed", "This connection has no credential to renew.");
    } else if (this.#renewing) {
      this.#refuse("auth_failed", "A token is being checked already.");
    } else {
      this.#renewing = true;
      renew(token.trim())
        .then(
          (principal) => this.#judge(principal),
          (error) => {
            this.#owner.report(error, "authentication");
            const message = "The token could not be checked. Send it again.";
            this.#owner.tell({ type: "error", code: "unavailable", message });
          },
        )
        .finally(() => {
          this.#renewing = false;
        });
    }
  }

  #judge(principal: Principal | null): void {
    if (principal === null) this.#refuse("auth_failed", "The token is not valid.");
    else if (principal.id !== this.#owner.principal?.id) {
      this.#owner.end(CloseCode.forbidden, "another principal");
    } else {
      this.#gate.accept();
      this.#owner.renewed(principal);
      this.#refreshAt = this.#whenToRefresh();
    }
  }

  #whenToRefresh(): number {
    const leftMs = this.#owner.expiresAt - Date.now();
    return this.#owner.expiresAt - Math.min(leftMs * REFRESH_SHARE, REFRESH_MAX_MS);
  }

  #becomeReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#owner.ready();
  }

  #tell(code: string, message: string, room: string): void {
    this.#owner.tell({ type: "error", code, message, room });
  }

  #refuse(code: string, message: string): void {
    this.#gate.refuse(code, message);
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessageId(id: unknown): id is string {
  return typeof id === "string" && id.length > 0 && id.length <= MAX_MESSAGE_ID_LENGTH;
}

/** What a handler gets: text as it is, anything else as JSON text; null: nothing was sent. */
function toText(data: unknown): string | null {
  if (typeof data === "string") return data;
  return data === undefined ? null : JSON.stringify(data);
}

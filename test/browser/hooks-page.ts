import { createElement, Fragment, StrictMode, useLayoutEffect } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { type Roomcast, type RoomOptions, useRoom, useRoomcast } from "../../src/react.ts";

/** What is shown: clients for `url`, and rooms of each. */
export interface Shown {
  readonly url: string;
  readonly rooms: readonly string[];
  readonly options?: RoomOptions;
  /** How many clients. Default 1. */
  readonly clients?: number;
  /** The defaults of the client, instead of hours that only a test lets pass. */
  readonly defaults?: boolean;
}

const HOUR = 3_600_000;
const PATIENT = {
  reconnectBackoffBaseMs: HOUR,
  reconnectBackoffMaxMs: HOUR,
  openTimeoutMs: HOUR,
  reconnectJitter: 0,
};

/** What was shown at each commit, and whether it was the truth about the client. */
const commits: string[] = [];
const lies: string[] = [];

interface RoomProps {
  readonly client: Roomcast["client"];
  readonly room: string;
  readonly state: string;
  readonly options: RoomOptions | undefined;
}

function Room({ client, room, state, options }: RoomProps) {
  const { messages, gaps } = useRoom(client, room, options);
  // Before it could have been told otherwise.
  if (state === "open" && client.state !== "open") lies.push(`${room}: ${state} ${client.state}`);
  const text = `${state}: ${messages.join(" ")} (${gaps} gaps)`;
  useLayoutEffect(() => void commits.push(`${room} ${text}`));
  return createElement("p", null, text);
}

function Client({ url, rooms, options, defaults }: Shown) {
  const { client, state, error } = useRoomcast(url, {
    subprotocols: ["roomcast.v1"],
    ...(!defaults && { config: PATIENT }),
  });
  Object.assign(globalThis, { client });
  // A room that is shown twice is two components.
  const all = rooms.map((room, key) => createElement(Room, { key, client, room, state, options }));
  return createElement(Fragment, null, ...all, error && createElement("b", null, error.message));
}

const root = createRoot(document.body);

/** Shows this, or nothing, and has run all effects of it. */
function show(shown: Shown | null): void {
  const clients = Array.from({ length: shown?.clients ?? 1 }, (_, key) =>
    shown ? createElement(Client, { key, ...shown }) : null,
  );
  const element = shown && createElement(StrictMode, null, ...clients);
  flushSync(() => root.render(element));
}

Object.assign(globalThis, { show, commits, lies });

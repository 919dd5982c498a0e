import { createElement, StrictMode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { type RoomOptions, useRoom, useRoomcast } from "../../src/react.ts";

/** What is shown: a client for `url`, in `room`. */
export interface Shown {
  readonly url: string;
  readonly room: string;
  readonly options?: RoomOptions;
}

const HOUR = 3_600_000;

function Room({ url, room, options }: Shown) {
  const { client, state } = useRoomcast(url, {
    subprotocols: ["roomcast.v1"],
    config: { reconnectBackoffBaseMs: HOUR, reconnectBackoffMaxMs: HOUR, openTimeoutMs: HOUR },
  });
  const { messages, gaps } = useRoom(client, room, options);
  return `${state}: ${messages.join(" ")} (${gaps} gaps)`;
}

const root = createRoot(document.body);

/** Shows this, or nothing, and has run all effects of it. */
function show(shown: Shown | null): void {
  const element = shown && createElement(StrictMode, null, createElement(Room, shown));
  flushSync(() => root.render(element));
}

Object.assign(globalThis, { show });

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { conversationAt } from "./address.ts";
import { type ChatConnection, openConnection } from "./connection.ts";
import { rememberedRooms, rememberRooms, type Session, socketUrl } from "./session.ts";
import { type ChatState, initialState, roomsOf } from "./state.ts";
import { type ChatEvent, update } from "./update.ts";

export interface Chat {
  state: ChatState;
  dispatch(event: ChatEvent): void;
  /** Tries to connect at once. */
  retryNow(): void;
}

/** Runs a chat for as long as the component that uses it is on the page. */
export function useChat(session: Session): Chat {
  const [state, setState] = useState(() =>
    initialState(session.user, rememberedRooms(session.user), conversationAt(location.hash)),
  );
  const latest = useRef(state);
  const connection = useRef<ChatConnection | undefined>(undefined);

  const dispatch = useCallback((event: ChatEvent) => {
    const next = update(latest.current, event);
    latest.current = next.state;
    setState(next.state);
    for (const message of next.send) connection.current?.send(message);
  }, []);

  useEffect(() => {
    const opened = openConnection({
      url: socketUrl(session),
      ...(session.token ? { token: session.token } : {}),
      onStatus: (status) => dispatch({ type: "status", status }),
      onMessage: (message) => dispatch({ type: "received", message, at: Date.now() }),
    });
    connection.current = opened;
    const look = () => dispatch({ type: "visible", visible: !document.hidden });
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      opened.close();
    };
  }, [session, dispatch]);

  const rooms = roomsOf(state).join("\n");
  useEffect(() => {
    rememberRooms(session.user, rooms === "" ? [] : rooms.split("\n"));
  }, [session.user, rooms]);

  const retryNow = useCallback(() => connection.current?.retryNow(), []);
  return { state, dispatch, retryNow };
}

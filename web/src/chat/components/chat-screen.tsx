import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Session } from "../session.ts";
import { type ConversationKey, selectedConversation, unreadOf, userKey } from "../state.ts";
import { type Pane, useAddress } from "../use-address.ts";
import { useChat } from "../use-chat.ts";
import { ConversationView } from "./conversation-view.tsx";
import { PeoplePanel } from "./people-panel.tsx";
import { Sidebar } from "./sidebar.tsx";

/** What to look at first in a part that has just come up. */
const FIRST_IN: Readonly<Record<Pane, string>> = {
  list: ".conversation-button[aria-current]",
  conversation: ".conversation h1",
  people: ".people-header button",
};

interface ChatScreenProps {
  session: Session;
  onSignOut(): void;
}

/** The chat of somebody who has signed in. */
export function ChatScreen({ session, onSignOut }: ChatScreenProps): JSX.Element {
  const { state, dispatch, retryNow } = useChat(session);
  const [pane, setPane] = useState<Pane>("conversation");
  const screen = useRef<HTMLDivElement>(null);
  const shownPane = useRef(pane);
  const conversation = selectedConversation(state);
  const unread = unreadOf(state);

  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Roomcast` : "Roomcast";
  }, [unread]);

  useEffect(() => {
    if (shownPane.current === pane) return;
    shownPane.current = pane;
    screen.current?.querySelector<HTMLElement>(FIRST_IN[pane])?.focus();
  }, [pane]);

  useEffect(() => {
    const closePanes = (event: KeyboardEvent) => {
      if (event.key === "Escape") setPane("conversation");
    };
    document.addEventListener("keydown", closePanes);
    return () => document.removeEventListener("keydown", closePanes);
  }, []);

  const open = (key: ConversationKey) => {
    dispatch({ type: "open", key });
    setPane("conversation");
  };

  useAddress({ key: state.selected, pane }, (place) => {
    const [kind, ...name] = place.key.split(":");
    if (kind === "room") dispatch({ type: "join", room: name.join(":") });
    else dispatch({ type: "open", key: place.key });
    setPane(place.pane);
  });

  return (
    <div class="chat" data-pane={pane} ref={screen}>
      <Sidebar
        state={state}
        onOpen={open}
        onJoin={(room) => {
          dispatch({ type: "join", room });
          setPane("conversation");
        }}
        onSignOut={onSignOut}
      />
      <ConversationView
        key={conversation.key}
        conversation={conversation}
        state={state}
        dispatch={dispatch}
        onRetry={retryNow}
        onSignIn={onSignOut}
        onBack={() => setPane("list")}
        onPeople={() => setPane(pane === "people" ? "conversation" : "people")}
      />
      <PeoplePanel
        state={state}
        conversation={conversation}
        onClose={() => setPane("conversation")}
        onMessage={(user) => open(userKey(user))}
      />
    </div>
  );
}

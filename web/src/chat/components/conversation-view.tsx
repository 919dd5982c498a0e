import type { JSX } from "preact";
import { newMessageId } from "../message-id.ts";
import { type ChatState, type Conversation, unreadOf } from "../state.ts";
import type { ChatEvent } from "../update.ts";
import { Avatar } from "./avatar.tsx";
import { Composer } from "./composer.tsx";
import { ConnectionBar, ConnectionPill } from "./connection-bar.tsx";
import { Icon } from "./icon.tsx";
import { MessageLog } from "./message-log.tsx";

interface ConversationViewProps {
  conversation: Conversation;
  state: ChatState;
  dispatch(event: ChatEvent): void;
  onRetry(): void;
  onSignIn(): void;
  onBack(): void;
  onPeople(): void;
}

/** One conversation: what it is, what was said, and a place to say something. */
export function ConversationView(props: ConversationViewProps): JSX.Element {
  const { conversation, state, dispatch, onRetry, onSignIn, onBack, onPeople } = props;
  const title = titleOf(conversation);
  const unread = unreadOf(state);

  return (
    <main class="conversation">
      <header class="conversation-header">
        <button
          class="button-icon back only-phone"
          type="button"
          aria-label={unread > 0 ? `All conversations, ${unread} unread` : "All conversations"}
          data-unread={unread > 0}
          onClick={onBack}
        >
          <Icon name="back" />
        </button>
        {conversation.kind === "user" && <Avatar name={conversation.name} />}
        <div class="conversation-title">
          <h1 tabIndex={-1}>{title}</h1>
          <p class="conversation-subtitle">{subtitleOf(conversation, state)}</p>
        </div>
        <ConnectionPill status={state.status} />
        {conversation.kind !== "everyone" && (
          <button
            class="button-icon"
            type="button"
            aria-label={conversation.kind === "room" ? `Leave ${title}` : "Close conversation"}
            title={conversation.kind === "room" ? "Leave this room" : "Close conversation"}
            onClick={() => dispatch({ type: "leave", key: conversation.key })}
          >
            <Icon name="close" />
          </button>
        )}
        <button
          class="button-icon only-narrow"
          type="button"
          aria-label="Show who is here"
          onClick={onPeople}
        >
          <Icon name="people" />
        </button>
      </header>
      <ConnectionBar status={state.status} onRetry={onRetry} onSignIn={onSignIn} />
      {state.problem && (
        <div class="problem-bar" role="alert">
          <p>{state.problem}</p>
          <button
            class="button-icon"
            type="button"
            aria-label="Dismiss"
            onClick={() => dispatch({ type: "dismiss" })}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
      <MessageLog
        key={conversation.loaded ? "loaded" : "loading"}
        conversation={conversation}
        title={title}
        user={state.user}
      />
      <Composer
        conversation={conversation.key}
        label={`Message ${title}`}
        onSay={(text) =>
          dispatch({ type: "said", data: { id: newMessageId(), text, at: Date.now() } })
        }
      />
    </main>
  );
}

function titleOf({ kind, name }: Conversation): string {
  if (kind === "everyone") return "Everyone";
  return kind === "room" ? `#${name}` : name;
}

function subtitleOf(conversation: Conversation, state: ChatState): string {
  if (conversation.kind === "everyone") return "Reaches everybody on this server";
  if (conversation.kind === "user") {
    const rooms = [...state.conversations.values()]
      .filter((room) => room.people.includes(conversation.name))
      .map((room) => `#${room.name}`);
    if (conversation.name === state.user) return "Notes to yourself";
    return rooms.length > 0 ? `Here now, in ${rooms.join(", ")}` : "Not in your rooms right now";
  }
  if (!conversation.joined)
    return state.status.phase === "connected" ? "Joining…" : "Not connected";
  const { length } = conversation.people;
  return length === 1 ? "Only you are here" : `${length} people here`;
}

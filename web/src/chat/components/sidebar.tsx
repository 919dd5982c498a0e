import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { nameProblem } from "../session.ts";
import type { ChatState, Conversation, ConversationKey } from "../state.ts";
import { Avatar } from "./avatar.tsx";
import { Icon, Mark } from "./icon.tsx";

interface SidebarProps {
  state: ChatState;
  onOpen(key: ConversationKey): void;
  onJoin(room: string): void;
  onSignOut(): void;
}

/** The conversations, a way into another room, and who the user is. */
export function Sidebar({ state, onOpen, onJoin, onSignOut }: SidebarProps): JSX.Element {
  const all = [...state.conversations.values()];
  const list = (kind: Conversation["kind"]) =>
    all
      .filter((conversation) => conversation.kind === kind)
      .map((conversation) => (
        <li key={conversation.key}>
          <ConversationButton
            conversation={conversation}
            selected={conversation.key === state.selected}
            onOpen={onOpen}
          />
        </li>
      ));
  const direct = list("user");
  return (
    <div class="sidebar">
      <header class="brand">
        <Mark />
        <span>Roomcast</span>
      </header>
      <nav class="conversations" aria-label="Conversations">
        <ul>{list("everyone")}</ul>
        <h2 id="rooms">Rooms</h2>
        <ul aria-labelledby="rooms">{list("room")}</ul>
        <JoinForm onJoin={onJoin} />
        <h2 id="direct">Direct messages</h2>
        {direct.length > 0 ? (
          <ul aria-labelledby="direct">{direct}</ul>
        ) : (
          <p class="hint">Choose a person in a room to write to them alone.</p>
        )}
      </nav>
      <footer class="me">
        <Avatar name={state.user} />
        <div>
          <p class="me-name">{state.user}</p>
          <button class="sign-out" type="button" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      </footer>
    </div>
  );
}

interface ConversationButtonProps {
  conversation: Conversation;
  selected: boolean;
  onOpen(key: ConversationKey): void;
}

function ConversationButton({ conversation, selected, onOpen }: ConversationButtonProps) {
  const { key, kind, name, unread } = conversation;
  return (
    <button
      class="conversation-button"
      type="button"
      aria-current={selected ? "true" : undefined}
      onClick={() => onOpen(key)}
    >
      {kind === "user" && <Avatar name={name} />}
      {kind === "room" && <span class="hash">#</span>}
      {kind === "everyone" && <Icon name="everyone" />}
      <span class="conversation-name">{kind === "everyone" ? "Everyone" : name}</span>
      {unread > 0 && (
        <span class="unread">
          {unread > 99 ? "99+" : unread}
          <span class="visually-hidden"> unread</span>
        </span>
      )}
    </button>
  );
}

function JoinForm({ onJoin }: { onJoin(room: string): void }) {
  const [room, setRoom] = useState("");
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const name = room.trim().replace(/^#/, "");
    const found = nameProblem(name);
    setProblem(found);
    if (found) return field.current?.focus();
    setRoom("");
    onJoin(name);
  };
  return (
    <form class="join" onSubmit={submit}>
      <input
        ref={field}
        aria-label="Room to join"
        placeholder="Join a room"
        value={room}
        maxLength={64}
        onInput={(event) => {
          setRoom(event.currentTarget.value);
          setProblem(undefined);
        }}
        aria-invalid={problem !== undefined}
        aria-describedby="join-problem"
        autocomplete="off"
      />
      <button class="button-icon" type="submit" aria-label="Join room">
        <Icon name="plus" />
      </button>
      <p class="problem" id="join-problem" role="alert">
        {problem}
      </p>
    </form>
  );
}

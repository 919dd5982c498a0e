import type { JSX } from "preact";
import { byName, type ChatState, type Conversation, isLive, peopleInSight } from "../state.ts";
import { Avatar } from "./avatar.tsx";
import { Icon } from "./icon.tsx";

interface PeoplePanelProps {
  state: ChatState;
  conversation: Conversation;
  onClose(): void;
  onMessage(user: string): void;
}

/** Who is here; a click on somebody opens a conversation with them alone. */
export function PeoplePanel(props: PeoplePanelProps): JSX.Element {
  const { state, conversation, onClose, onMessage } = props;
  const people = peopleOf(state, conversation);
  const live = isLive(state, conversation);
  return (
    <aside class="people" aria-labelledby="people-title">
      <header class="people-header">
        <h2 id="people-title">
          {conversation.kind === "room" ? "Here now" : "In your rooms"}
          {live && <span class="count">{people.length}</span>}
        </h2>
        <button
          class="button-icon only-narrow"
          type="button"
          aria-label="Close the list of people"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      {!live && <p class="hint">Who is here shows once you are connected.</p>}
      {live && people.length === 0 && <p class="hint">Nobody is here yet.</p>}
      <ul class="people-list">
        {people.map((user) => (
          <li key={user}>
            <button
              class="person"
              type="button"
              onClick={() => onMessage(user)}
              title={`Write to ${user}`}
            >
              <Avatar name={user} />
              <span class="person-name">{user}</span>
              {user === state.user && <span class="you">you</span>}
            </button>
          </li>
        ))}
      </ul>
    </aside>
  );
}

function peopleOf(state: ChatState, conversation: Conversation): string[] {
  if (conversation.kind !== "room") return peopleInSight(state);
  return [...conversation.people].sort(byName);
}

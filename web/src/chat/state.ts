import type { ConnectionStatus } from "./connection.ts";

/** One conversation: a room, one other user, or everyone on the server. */
export type ConversationKey = `room:${string}` | `user:${string}` | "everyone";

/** One line of a conversation. `key` is unique in the page and stays with the line. */
export type Entry = MessageEntry | PresenceEntry | NoticeEntry;

export interface MessageEntry {
  kind: "message";
  key: number;
  from: string;
  text: string;
  /** Given by the sender, where it runs this page. */
  id?: string;
  /** Milliseconds since 1970; unknown for old messages of other programs. */
  at?: number;
  /** Sent by us, and not back from the server yet. */
  pending?: boolean;
}

/** People who came and went, without a message in between. */
export interface PresenceEntry {
  kind: "presence";
  key: number;
  at: number;
  joined: readonly string[];
  left: readonly string[];
}

/** Something the server says. */
export interface NoticeEntry {
  kind: "notice";
  key: number;
  at: number;
  text: string;
}

export interface Conversation {
  key: ConversationKey;
  kind: "room" | "user" | "everyone";
  /** The room or the user. */
  name: string;
  entries: readonly Entry[];
  /** Who is here; for a room only. */
  people: readonly string[];
  /** False while the server has not confirmed that we are in the room. */
  joined: boolean;
  /** False until the history is here. */
  loaded: boolean;
  /** Pages of the history that have arrived, until the last one has. */
  history: readonly MessageEntry[];
  /** Entries with this key and above came in since we joined the room last. */
  liveFrom: number;
  unread: number;
}

export interface ChatState {
  user: string;
  status: ConnectionStatus;
  conversations: ReadonlyMap<ConversationKey, Conversation>;
  selected: ConversationKey;
  /** Whether the reader can see the page. */
  visible: boolean;
  /** The key of the next entry. */
  nextKey: number;
  /** Something that went wrong and that the reader should know, until dismissed. */
  problem?: string;
}

/** What is kept of each conversation. */
export const ENTRIES_KEPT = 500;

export const roomKey = (room: string): ConversationKey => `room:${room}`;
export const userKey = (user: string): ConversationKey => `user:${user}`;

/** A conversation in which nothing has been said. */
export function emptyConversation(key: ConversationKey): Conversation {
  const [kind = "", ...name] = key.split(":");
  return {
    key,
    kind: kind === "room" || kind === "user" ? kind : "everyone",
    name: name.join(":"),
    entries: [],
    people: [],
    joined: false,
    loaded: false,
    history: [],
    liveFrom: 0,
    unread: 0,
  };
}

/** The page just after signing in, about to join the rooms; the first one is shown, unless the address says another. */
export function initialState(
  user: string,
  rooms: readonly string[],
  shown?: ConversationKey,
): ChatState {
  const wanted: ConversationKey[] = shown === undefined ? [] : [shown];
  const keys: ConversationKey[] = ["everyone", ...rooms.map(roomKey), ...wanted];
  return {
    user,
    status: { phase: "connecting" },
    conversations: new Map(keys.map((key) => [key, emptyConversation(key)])),
    selected: shown ?? keys[1] ?? "everyone",
    visible: true,
    nextKey: 1,
  };
}

/** The conversation that is on show. */
export function selectedConversation(state: ChatState): Conversation {
  return state.conversations.get(state.selected) ?? emptyConversation(state.selected);
}

/** Everybody we share a room with, each once. */
export function peopleInSight(state: ChatState): string[] {
  const everybody = [...state.conversations.values()].flatMap(
    (conversation) => conversation.people,
  );
  return [...new Set(everybody)].sort(byName);
}

/** Names as people order them: user2 before user10. */
export function byName(a: string, b: string): number {
  return a.localeCompare(b, undefined, { numeric: true });
}

/** Whether it is known who is in a conversation now. */
export function isLive(state: ChatState, conversation: Conversation): boolean {
  const isConnected = state.status.phase === "connected";
  return isConnected && (conversation.kind !== "room" || conversation.joined);
}

/** The rooms we are in or want to be in. */
export function roomsOf(state: ChatState): string[] {
  return [...state.conversations.values()].filter(isRoom).map((room) => room.name);
}

export function unreadOf(state: ChatState): number {
  let unread = 0;
  for (const conversation of state.conversations.values()) unread += conversation.unread;
  return unread;
}

function isRoom(conversation: Conversation): boolean {
  return conversation.kind === "room";
}

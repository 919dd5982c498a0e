import type { ConnectionStatus } from "./connection.ts";
import { append, appendArrived, appendPresence, mergeHistory, messageEntry } from "./entries.ts";
import type { ChatData, ClientMessage, Said, ServerMessage } from "./protocol.ts";
import {
  type ChatState,
  type Conversation,
  type ConversationKey,
  ENTRIES_KEPT,
  emptyConversation,
  type MessageEntry,
  roomKey,
  roomsOf,
  userKey,
} from "./state.ts";

/** Everything that can happen to the page. Times are in milliseconds since 1970. */
export type ChatEvent =
  | { type: "status"; status: ConnectionStatus }
  | { type: "received"; message: ServerMessage; at: number }
  | { type: "said"; data: ChatData }
  | { type: "join"; room: string }
  /** Shows a conversation, which begins if it is new. */
  | { type: "open"; key: ConversationKey }
  /** Leaves a room, or puts a direct conversation away. */
  | { type: "leave"; key: ConversationKey }
  | { type: "visible"; visible: boolean }
  | { type: "dismiss" };

/** The next state, and what to tell the server. */
export interface Update {
  state: ChatState;
  send: ClientMessage[];
}

/** What the server says when it does not let us into a room. */
const JOIN_REFUSED = new Set(["forbidden", "too_many_rooms"]);

/** The most the server gives at once. */
const HISTORY_PAGE = 1_000;

/** The whole behaviour of the chat: no I/O, no clock, no randomness. */
export function update(state: ChatState, event: ChatEvent): Update {
  switch (event.type) {
    case "status":
      return statusChanged(state, event.status);
    case "received":
      return received(state, event.message, event.at);
    case "said":
      return said(state, event.data);
    case "join":
      return join(state, event.room);
    case "leave":
      return leave(state, event.key);
    case "open":
      return only(read(change({ ...state, selected: event.key }, event.key, () => ({}))));
    case "visible":
      return only(read({ ...state, visible: event.visible }));
    case "dismiss": {
      const { problem: _, ...rest } = state;
      return only(rest);
    }
  }
}

const only = (state: ChatState): Update => ({ state, send: [] });

const isConnected = (state: ChatState): boolean => state.status.phase === "connected";

/** Changes one conversation, which begins when it is not there yet. */
function change(
  state: ChatState,
  key: ConversationKey,
  changed: (conversation: Conversation) => Partial<Conversation>,
): ChatState {
  const before = state.conversations.get(key) ?? emptyConversation(key);
  const conversations = new Map(state.conversations);
  conversations.set(key, { ...before, ...changed(before) });
  return { ...state, conversations };
}

/** The conversation on show counts as read, if anybody looks. */
function read(state: ChatState): ChatState {
  if (!state.visible) return state;
  const unread = state.conversations.get(state.selected)?.unread;
  return unread === 0 ? state : change(state, state.selected, () => ({ unread: 0 }));
}

function statusChanged(state: ChatState, status: ConnectionStatus): Update {
  const before = state.status.phase;
  const next = { ...state, status };
  if (status.phase === "connected") {
    if (before === "connected") return only(next);
    const rooms = roomsOf(state).map((room): ClientMessage => ({ type: "join", room }));
    const resent = deliverPending(next, (conversation) => conversation.kind !== "room");
    return { state: resent.state, send: [...rooms, ...resent.send] };
  }
  const conversations = new Map(state.conversations);
  for (const [key, conversation] of conversations) {
    conversations.set(key, { ...conversation, joined: false, people: [] });
  }
  return only({ ...next, conversations });
}

function received(state: ChatState, message: ServerMessage, at: number): Update {
  switch (message.type) {
    case "message": {
      const key = message.room ? roomKey(message.room) : "everyone";
      return only(arrived(state, key, message.said, at));
    }
    case "dm":
      return only(arrived(state, userKey(message.said.from), message.said, at));
    case "joined":
      return joined(state, message.room, message.users);
    case "left":
      return only(without(state, roomKey(message.room)));
    case "user_joined":
    case "user_left":
      return only(cameOrWent(state, message.room, message.user, message.type, at));
    case "history":
      return historyArrived(state, message.room, message.messages, message.next);
    case "system":
      return only(notice(state, message.text, at));
    case "error":
      return only(refused(state, message.code, message.text));
    case "pong":
    case "goodbye":
      return only(state);
  }
}

/** What the server says is kept with what reaches everyone, and shown where the reader is. */
function notice(state: ChatState, text: string, at: number): ChatState {
  const entry = { kind: "notice" as const, key: state.nextKey, at, text };
  const noted = ({ entries }: Conversation) => ({ entries: append(entries, entry) });
  const next = change({ ...state, nextKey: state.nextKey + 1 }, "everyone", noted);
  return state.selected === "everyone" ? next : change(next, state.selected, noted);
}

/** Joins are answered in order, so a refused one is that of the first room still waiting. */
function refused(state: ChatState, code: string, text: string): ChatState {
  const next = { ...state, problem: text || code };
  if (!JOIN_REFUSED.has(code)) return next;
  const waiting = [...state.conversations.values()].find(
    (conversation) => conversation.kind === "room" && !conversation.joined,
  );
  return waiting ? without(next, waiting.key) : next;
}

function arrived(state: ChatState, key: ConversationKey, said: Said, at: number): ChatState {
  // A room we have left may have had a message on its way.
  if (key.startsWith("room:") && !state.conversations.has(key)) return state;
  // Nobody speaks from the future: a fast clock of theirs counts as now.
  const entry = { ...messageEntry(said, state.nextKey), at: Math.min(said.at ?? at, at) };
  const next = { ...state, nextKey: state.nextKey + 1 };
  const unseen = said.from !== state.user && (key !== state.selected || !state.visible);
  return change(next, key, (conversation) => {
    const entries = appendArrived(conversation.entries, entry);
    const isNew = entries !== conversation.entries;
    return { entries, unread: conversation.unread + (isNew && unseen ? 1 : 0) };
  });
}

function joined(state: ChatState, room: string, users: readonly string[]): Update {
  const key = roomKey(room);
  if (!state.conversations.has(key)) return only(state);
  const people = [...new Set(users)];
  const liveFrom = state.nextKey;
  return {
    state: change(state, key, () => ({ people, joined: true, history: [], liveFrom })),
    send: [{ type: "history", room, limit: HISTORY_PAGE }],
  };
}

function cameOrWent(
  state: ChatState,
  room: string,
  user: string,
  type: "user_joined" | "user_left",
  at: number,
): ChatState {
  const here = type === "user_joined";
  const key = roomKey(room);
  const conversation = state.conversations.get(key);
  if (!conversation || conversation.people.includes(user) === here) return state;
  const next = { ...state, nextKey: state.nextKey + 1 };
  return change(next, key, ({ people, entries }) => ({
    people: here ? [...people, user] : people.filter((name) => name !== user),
    entries:
      user === state.user
        ? entries
        : appendPresence(entries, { user, here, key: state.nextKey, at }),
  }));
}

function historyArrived(
  state: ChatState,
  room: string,
  messages: readonly Said[],
  since: string | undefined,
): Update {
  const key = roomKey(room);
  if (!state.conversations.has(key)) return only(state);
  const page = messages.map((message, index) => messageEntry(message, state.nextKey + index));
  const next = { ...state, nextKey: state.nextKey + page.length };
  const withPage = change(next, key, ({ history }) => ({
    history: [...history, ...page].slice(-ENTRIES_KEPT),
  }));
  if (since !== undefined) {
    return { state: withPage, send: [{ type: "history", room, since, limit: HISTORY_PAGE }] };
  }
  const whole = change(withPage, key, ({ entries, history, liveFrom }) => ({
    entries: mergeHistory(entries, history, liveFrom),
    history: [],
    loaded: true,
  }));
  return deliverPending(whole, (conversation) => conversation.key === key);
}

function said(state: ChatState, data: ChatData): Update {
  const key = state.selected;
  const message = messageEntry({ from: state.user, ...data }, state.nextKey);
  const entry: MessageEntry = { ...message, pending: true };
  const next = change({ ...state, nextKey: state.nextKey + 1 }, key, ({ entries }) => ({
    entries: append(entries, entry),
  }));
  const waits = !isConnected(next) || (key.startsWith("room:") && !isJoined(next, key));
  return waits ? only(next) : deliver(next, key, entry);
}

function isJoined(state: ChatState, key: ConversationKey): boolean {
  return state.conversations.get(key)?.joined === true;
}

/** Sends again what was not known to have arrived; the id keeps it from being shown twice. */
function deliverPending(state: ChatState, where: (candidate: Conversation) => boolean): Update {
  const send: ClientMessage[] = [];
  let next = state;
  for (const conversation of [...state.conversations.values()].filter(where)) {
    for (const entry of conversation.entries) {
      if (entry.kind !== "message" || !entry.pending) continue;
      const delivered = deliver(next, conversation.key, entry);
      next = delivered.state;
      send.push(...delivered.send);
    }
  }
  return { state: next, send };
}

/** Sends one message. Rooms and broadcasts come back to us, direct messages to others do not. */
function deliver(state: ChatState, key: ConversationKey, entry: MessageEntry): Update {
  const { kind, name } = state.conversations.get(key) ?? emptyConversation(key);
  const data: ChatData = { id: entry.id ?? "", text: entry.text, at: entry.at ?? 0 };
  if (kind === "room") return { state, send: [{ type: "room_message", room: name, data }] };
  if (kind === "everyone") return { state, send: [{ type: "broadcast", data }] };
  const send: ClientMessage[] = [{ type: "direct_message", to: name, data }];
  if (name === state.user) return { state, send };
  const { pending: _, ...sent } = entry;
  const settled = change(state, key, ({ entries }) => ({
    entries: entries.map((other) => (other === entry ? sent : other)),
  }));
  return { state: settled, send };
}

function join(state: ChatState, room: string): Update {
  const key = roomKey(room);
  if (state.conversations.has(key)) return only(read({ ...state, selected: key }));
  const next = { ...change(state, key, () => ({})), selected: key };
  return { state: next, send: isConnected(state) ? [{ type: "join", room }] : [] };
}

function leave(state: ChatState, key: ConversationKey): Update {
  const conversation = state.conversations.get(key);
  const tell = isConnected(state) && conversation?.kind === "room";
  return {
    state: without(state, key),
    send: tell ? [{ type: "leave", room: conversation.name }] : [],
  };
}

/** Forgets a conversation and shows another one in its place. */
function without(state: ChatState, key: ConversationKey): ChatState {
  if (!state.conversations.has(key)) return state;
  const conversations = new Map(state.conversations);
  conversations.delete(key);
  if (state.selected !== key) return { ...state, conversations };
  const keys = [...conversations.keys()];
  const selected = keys.find((other) => other.startsWith("room:")) ?? keys[0] ?? "everyone";
  return read({ ...state, conversations, selected });
}

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Line, presenceSentence, timeLabel, toLines } from "../lines.ts";
import { partsOf } from "../links.ts";
import type { Conversation, MessageEntry } from "../state.ts";
import { Avatar } from "./avatar.tsx";
import { Boundary } from "./boundary.tsx";
import { Icon, Mark } from "./icon.tsx";

interface MessageLogProps {
  conversation: Conversation;
  title: string;
  user: string;
}

/** Closer to the end than this counts as reading the newest, in CSS pixels. */
const AT_END = 48;

/** What was said. Stays at the newest message unless the reader has scrolled up. */
export function MessageLog({ conversation, title, user }: MessageLogProps): JSX.Element {
  const { entries } = conversation;
  const log = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [seenTo, setSeenTo] = useState(0);
  const newest = entries.at(-1)?.key ?? 0;
  const missed = following.current ? 0 : countMissed(conversation, seenTo, user);

  const toEnd = () => {
    const box = log.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(() => {
    const last = entries.at(-1);
    if (last?.kind === "message" && last.pending) following.current = true;
    if (!following.current) return;
    toEnd();
    setSeenTo(newest);
  }, [entries, newest]);

  // The keyboard of a phone, a bar above: what was at the end stays in sight.
  useEffect(() => {
    const box = log.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  const scrolled = () => {
    const box = log.current;
    if (!box) return;
    following.current = box.scrollHeight - box.scrollTop - box.clientHeight < AT_END;
    if (following.current) setSeenTo(newest);
  };

  const lines = toLines(entries, Date.now());
  return (
    <div class="log-frame">
      <div
        class="log"
        ref={log}
        onScroll={scrolled}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by key
        tabIndex={0}
        role="log"
        aria-label={`Messages, ${title}`}
      >
        {lines.length === 0 && <EmptyLog conversation={conversation} title={title} />}
        <div class="log-lines">
          {lines.map((line) => (
            <Boundary key={line.key} instead={<Unshowable />}>
              <LogLine line={line} user={user} />
            </Boundary>
          ))}
        </div>
      </div>
      {missed > 0 && (
        <button class="new-messages" type="button" onClick={toEnd}>
          <Icon name="down" />
          {missed === 1 ? "1 new message" : `${missed} new messages`}
        </button>
      )}
    </div>
  );
}

function countMissed({ entries }: Conversation, seenTo: number, user: string): number {
  const missed = entries.filter(
    (entry) => entry.kind === "message" && entry.key > seenTo && entry.from !== user,
  );
  return missed.length;
}

function LogLine({ line, user }: { line: Line; user: string }) {
  switch (line.kind) {
    case "day":
      return <h2 class="day">{line.label}</h2>;
    case "presence":
      return <p class="presence">{presenceSentence(line)}</p>;
    case "notice":
      return <p class="notice">{line.text}</p>;
    case "group":
      return (
        <article class="group" data-own={line.from === user}>
          <Avatar name={line.from} />
          <header class="group-header">
            <span class="group-from">{line.from === user ? "You" : line.from}</span>
            {line.at !== undefined && <Time at={line.at} />}
          </header>
          <div class="group-messages">
            {line.messages.map((message) => (
              <Boundary key={message.key} instead={<Unshowable />}>
                <Message message={message} />
              </Boundary>
            ))}
          </div>
        </article>
      );
  }
}

function Message({ message }: { message: MessageEntry }) {
  const { text, at, pending } = message;
  const when = at === undefined ? undefined : new Date(at).toLocaleString();
  return (
    <p class="message" data-pending={pending === true} title={when}>
      {text === "" && <span class="nothing">(an empty message)</span>}
      {partsOf(text).map((part) =>
        part.href === undefined ? (
          part.text
        ) : (
          <a key={part.from} href={part.href} target="_blank" rel="noopener noreferrer">
            {part.text}
          </a>
        ),
      )}
      {pending && (
        <span class="pending">
          <Icon name="waiting" />
          <span class="visually-hidden">Sending</span>
        </span>
      )}
    </p>
  );
}

/** Nothing a peer sends is a reason to show the others' messages no more. */
function Unshowable() {
  return <p class="notice">A message that cannot be shown.</p>;
}

function Time({ at }: { at: number }) {
  return <time dateTime={new Date(at).toISOString()}>{timeLabel(at)}</time>;
}

function EmptyLog({ conversation, title }: { conversation: Conversation; title: string }) {
  const isLoading = conversation.kind === "room" && !conversation.loaded;
  return (
    <div class="empty">
      <Mark />
      {isLoading ? (
        <p>Opening {title}…</p>
      ) : (
        <>
          <p class="empty-title">It is quiet in {title}.</p>
          <p>Say something; whoever is here gets it at once.</p>
        </>
      )}
    </div>
  );
}

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConversationKey } from "../state.ts";
import { Icon } from "./icon.tsx";

interface ComposerProps {
  conversation: ConversationKey;
  label: string;
  onSay(text: string): void;
}

const LONGEST = 8_000;

/** What was begun in each conversation and not sent. */
const drafts = new Map<ConversationKey, string>();

/** The place to write. Enter sends, Shift and Enter begins a new line. */
export function Composer({ conversation, label, onSay }: ComposerProps): JSX.Element {
  const [text, setText] = useState(drafts.get(conversation) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);

  // Where there is a keyboard, a conversation opens ready to write in; elsewhere one would pop up.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus({ preventScroll: true });
  }, []);

  const write = (next: string) => {
    drafts.set(conversation, next);
    setText(next);
  };
  const say = () => {
    const said = text.trim();
    if (said !== "") onSay(said);
    write("");
    field.current?.focus();
  };
  const keyDown = (event: KeyboardEvent) => {
    // Enter also ends the choice of a character in an input method; that is not a send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    say();
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        say();
      }}
    >
      <div class="composer-field" data-text={text}>
        <textarea
          ref={field}
          rows={1}
          aria-label={label}
          placeholder={label}
          value={text}
          maxLength={LONGEST}
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={keyDown}
        />
      </div>
      <button class="button-send" type="submit" aria-label="Send" disabled={text.trim() === ""}>
        <Icon name="send" />
      </button>
    </form>
  );
}

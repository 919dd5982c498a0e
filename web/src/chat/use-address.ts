import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { addressOf, conversationAt } from "./address.ts";
import type { ConversationKey } from "./state.ts";

/** Which part fills a narrow screen; on a wide one all are there. */
export type Pane = "list" | "conversation" | "people";

interface Place {
  key: ConversationKey;
  pane: Pane;
}

const isPlace = (value: unknown): value is Place =>
  typeof value === "object" && value !== null && "key" in value && "pane" in value;

/** As in layout.css: one part at a time. */
const isPhone = () => matchMedia("(width < 44rem)").matches;

/**
 * Keeps the address of the page at what is on show, and goes where the browser's Back and Forward lead. On a phone the
 * list is what lies behind the first conversation.
 */
export function useAddress(place: Place, go: (place: Place) => void): void {
  const { key, pane } = place;
  const latest = useRef(go);
  latest.current = go;
  const isFirst = useRef(true);

  // Before the next paint: Back must lead away from what is on show, however soon it is pressed.
  useLayoutEffect(() => {
    const here = { key, pane };
    const address = addressOf(key);
    const now: unknown = history.state;
    if (isFirst.current) {
      isFirst.current = false;
      if (isPlace(now)) return;
      const behind = isPhone() ? { key, pane: "list" } : here;
      history.replaceState(behind, "", address);
      if (behind !== here) history.pushState(here, "", address);
    } else if (!isPlace(now) || now.key !== key || now.pane !== pane) {
      history.pushState(here, "", address);
    }
  }, [key, pane]);

  useEffect(() => {
    const gone = () => {
      const to: unknown = history.state;
      const written = conversationAt(location.hash);
      if (isPlace(to)) latest.current(to);
      else if (written !== undefined) latest.current({ key: written, pane: "conversation" });
    };
    window.addEventListener("popstate", gone);
    return () => window.removeEventListener("popstate", gone);
  }, []);
}

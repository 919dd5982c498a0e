import type { JSX } from "preact";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  everyone: "M4 11v2a1 1 0 0 0 1 1h2l7 4V6L7 10H5a1 1 0 0 0-1 1zM18 9a4 4 0 0 1 0 6",
  people:
    "M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 19a6 6 0 0 1 12 0M15.5 5.2a3 3 0 0 1 0 5.6M17.5 14a6 6 0 0 1 3.5 5",
  plus: "M12 5v14M5 12h14",
  send: "M4 12l16-7-6 16-3-6.5z",
  waiting: "M12 7v5l3 2M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16z",
};

/** A line drawing in the colour of the text; decoration, so give the control a name of its own. */
export function Icon({ name }: { name: keyof typeof PATHS }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of Roomcast: a room, and what goes out from it. */
export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="mark-room" x="2" y="12" width="18" height="18" rx="5" />
      <path class="mark-wave" d="M12 6.5A13.5 13.5 0 0 1 25.5 20" />
      <path class="mark-wave mark-wave-far" d="M12 1.5A18.500 18.500 0 0 1 30.5 20" />
    </svg>
  );
}

import type { JSX } from "preact";
import { hueOf, initials } from "../avatar-face.ts";

/** The picture of somebody who has none; decoration, since the name is always next to it. */
export function Avatar({ name }: { name: string }): JSX.Element {
  return (
    <span class="avatar" data-hue={hueOf(name)} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

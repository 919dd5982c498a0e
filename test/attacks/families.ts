import { api } from "./families/api.ts";
import { floods } from "./families/floods.ts";
import { frames } from "./families/frames.ts";
import { handshakes } from "./families/handshakes.ts";
import { history } from "./families/history.ts";
import { pages } from "./families/pages.ts";
import { paths } from "./families/paths.ts";
import { redis } from "./families/redis.ts";
import { roomsClaim } from "./families/rooms-claim.ts";
import { slowReaders } from "./families/slow-readers.ts";
import { tokens } from "./families/tokens.ts";
import type { Family } from "./family.ts";

/** Every family, in the order of the table in docs/security.md. */
export const families: readonly Family[] = [
  frames,
  handshakes,
  tokens,
  roomsClaim,
  paths,
  pages,
  redis,
  slowReaders,
  floods,
  api,
  history,
];

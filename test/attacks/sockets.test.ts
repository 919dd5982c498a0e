import { frames } from "./families/frames.ts";
import { handshakes } from "./families/handshakes.ts";
import { roomsClaim } from "./families/rooms-claim.ts";
import { tokens } from "./families/tokens.ts";
import { attack } from "./family.ts";

attack(frames);
attack(handshakes);
attack(tokens);
attack(roomsClaim);

import { floods } from "./families/floods.ts";
import { redis } from "./families/redis.ts";
import { slowReaders } from "./families/slow-readers.ts";
import { attack } from "./family.ts";

attack(redis);
attack(slowReaders);
attack(floods);

import { pages } from "./families/pages.ts";
import { attack } from "./family.ts";

attack(pages);

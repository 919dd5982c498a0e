import { api } from "./families/api.ts";
import { history } from "./families/history.ts";
import { paths } from "./families/paths.ts";
import { attack } from "./family.ts";

attack(paths);
attack(api);
attack(history);

export { behaviours } from "./behaviours.ts";
export { queueBehaviours } from "./queue-behaviours.ts";
export { roomBehaviours } from "./room-behaviours.ts";

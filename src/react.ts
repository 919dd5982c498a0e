export {
  type Room,
  type Roomcast,
  type RoomOptions,
  useRoom,
  useRoomcast,
} from "./client/react.ts";

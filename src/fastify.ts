export {
  type RoomcastDecorator,
  type RoomcastPluginOptions,
  roomcast as default,
  roomcast,
} from "./upgrade/fastify-plugin.ts";

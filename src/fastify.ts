export {
  type RoomcastDecorator,
  type RoomcastPluginOptions,
  roomcast as default,
  roomcast,
} from "./server/fastify-plugin.ts";

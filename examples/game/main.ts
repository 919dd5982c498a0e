// Noughts and crosses. The state is shared by the cluster without a database: every move is appended to the game's log, and
// every instance makes the same game of the same log, so that two moves at once have one order everywhere.
//
//   npm run example game
//   REDIS_URL=redis://localhost:6379 PORT=8001 npm run example game     (and another with PORT=8002)
import { randomInt } from "node:crypto";
import { type Connection, ConnectionManager, memoryBackplane, WebSocketRouter } from "roomcast";
import { redisBackplane } from "roomcast/redis";
import { z } from "zod";
import { servePage } from "../serve-page.ts";
import { type Game, IllegalMove, type Move, play } from "./game.ts";

const Action = z.discriminatedUnion("action", [
  z.object({ action: z.literal("create") }),
  z.object({ action: z.literal("join"), game: z.string().max(40) }),
  z.object({ action: z.literal("start"), game: z.string().max(40) }),
  z.object({ action: z.literal("act"), game: z.string().max(40), cell: z.int().min(0).max(8) }),
]);

const { REDIS_URL } = process.env;
const manager = new ConnectionManager({
  backplane: REDIS_URL === undefined ? memoryBackplane() : redisBackplane({ url: REDIS_URL }),
  rooms: { "moves:*": { history: { maxLength: 1000, ttlMs: 86_400_000 } } },
});
const router = new WebSocketRouter(manager, {
  authenticate: (request) => {
    const id = new URLSearchParams(request.url?.split("?")[1]).get("player");
    return id === null ? null : { id, scopes: [], claims: {}, via: "name" };
  },
});

router.protected(
  "/game",
  { schema: Action },
  {
    async message(connection, request) {
      const player = connection.userId;
      try {
        if (request.action === "create") {
          const id = `game_${randomInt(1000, 10_000)}`;
          await enter(connection, id, { do: "create", player });
          void connection.send({ type: "game_created", game: id });
        } else if (request.action === "join") {
          await enter(connection, request.game, { do: "join", player });
        } else if (request.action === "start") {
          const { players } = await move(request.game, { do: "start", player });
          void manager.broadcastToRoom(request.game, {
            type: "game_started",
            game: request.game,
            players,
          });
        } else {
          await move(request.game, { do: "act", player, cell: request.cell });
        }
      } catch (error) {
        if (!(error instanceof IllegalMove)) throw error;
        void connection.send({ type: "error", message: error.message });
      }
    },
  },
);

/** A player comes into a game, and everybody in it is told. */
async function enter(connection: Connection<unknown>, id: string, first: Move): Promise<void> {
  const { players } = await move(id, first);
  await connection.join(id);
  void manager.broadcastToRoom(id, {
    type: "player_joined",
    game: id,
    player_id: first.player,
    players,
  });
  void manager.broadcastToRoom(id, {
    type: "state_update",
    game: id,
    state: (await read(id)).game,
  });
}

/** Makes a move, if the game as it is allows it, and tells everybody what the game is then. @throws IllegalMove */
async function move(id: string, next: Move): Promise<Game> {
  play((await read(id)).game, next);
  // Somebody else may have been faster: what counts is where the move stands in the log.
  const { id: position = "" } = await manager.broadcastToRoom(`moves:${id}`, next);
  const { game, faults } = await read(id);
  const fault = faults.get(position);
  if (fault !== undefined) throw fault;
  if (game === null) throw new IllegalMove("Game not found");
  void manager.broadcastToRoom(id, { type: "state_update", game: id, state: game });
  return game;
}

/** A game as its log has it, and which of the moves in it were too late. */
async function read(id: string): Promise<{ game: Game | null; faults: Map<string, IllegalMove> }> {
  let game: Game | null = null;
  const faults = new Map<string, IllegalMove>();
  for await (const { id: position, data } of manager.history.read(`moves:${id}`)) {
    try {
      game = play(game, JSON.parse(String(data)));
    } catch (error) {
      if (!(error instanceof IllegalMove)) throw error;
      faults.set(position, error);
    }
  }
  return { game, faults };
}

await servePage(manager, router, import.meta.url);

/** What players do; a game is what is made of these, in the order in which its log has them. */
export type Move =
  | { readonly do: "create"; readonly player: string }
  | { readonly do: "join"; readonly player: string }
  | { readonly do: "start"; readonly player: string }
  | { readonly do: "act"; readonly player: string; readonly cell: number };

export interface Game {
  readonly state: "waiting" | "playing" | "finished";
  readonly players: readonly string[];
  /** Nine cells, each with the number of a player, or null. */
  readonly board: readonly (number | null)[];
  /** Whose turn it is. */
  readonly turn: number;
  readonly winner: string | null;
}

/** Why a move changes nothing. */
export class IllegalMove extends Error {}

const LINES = [
  [0, 1, 2],
  [3, 4, 5],
  [6, 7, 8],
  [0, 3, 6],
  [1, 4, 7],
  [2, 5, 8],
  [0, 4, 8],
  [2, 4, 6],
] as const;
const MOST_PLAYERS = 2;

/** The game after a move. Pure, so that every instance comes to the same. @throws IllegalMove */
export function play(game: Game | null, move: Move): Game {
  if (game === null) {
    if (move.do !== "create") throw new IllegalMove("Game not found");
    return {
      state: "waiting",
      players: [move.player],
      board: Array(9).fill(null),
      turn: 0,
      winner: null,
    };
  }
  switch (move.do) {
    case "create":
      throw new IllegalMove("Game exists already");
    case "join":
      if (game.players.includes(move.player)) return game;
      if (game.state !== "waiting") throw new IllegalMove("Game already in progress");
      if (game.players.length >= MOST_PLAYERS) throw new IllegalMove("Game is full");
      return { ...game, players: [...game.players, move.player] };
    case "start":
      if (game.state !== "waiting") throw new IllegalMove("Game already in progress");
      if (!game.players.includes(move.player)) throw new IllegalMove("You are not in this game");
      if (game.players.length < MOST_PLAYERS) throw new IllegalMove("Waiting for a second player");
      return { ...game, state: "playing" };
    case "act":
      return act(game, move.player, move.cell);
  }
}

function act(game: Game, player: string, cell: number): Game {
  if (game.state !== "playing") throw new IllegalMove("Game is not being played");
  if (game.players[game.turn] !== player) throw new IllegalMove("It is not your turn");
  if (game.board[cell] !== null) throw new IllegalMove("That cell is taken");
  const board = game.board.with(cell, game.turn);
  const hasWon = LINES.some((line) => line.every((place) => board[place] === game.turn));
  const isOver = hasWon || board.every((one) => one !== null);
  return {
    ...game,
    board,
    turn: (game.turn + 1) % game.players.length,
    state: isOver ? "finished" : "playing",
    winner: hasWon ? player : null,
  };
}

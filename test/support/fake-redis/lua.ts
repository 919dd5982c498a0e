import { createHash } from "node:crypto";
import fengari from "fengari";
import { Failure, type Reply, Status } from "./keyspace.ts";

const { lua, lauxlib, lualib, to_luastring } = fengari;

export type Call = (args: readonly string[]) => Reply;

/**
 * Runs the very scripts that Redis runs. Fengari is Lua 5.3, where whole numbers have a type of their own (of
 * 32 bits here); Redis runs 5.1, where all are doubles. So numbers go in as doubles, and text that is a number
 * is made one before it is used in arithmetic that could leave 32 bits.
 */
export class Lua {
  readonly #state: object = lauxlib.luaL_newstate();
  readonly #loaded: Map<string, { readonly reference: number; readonly flags: string }> = new Map();
  #call: Call = () => null;

  constructor() {
    const state = this.#state;
    lualib.luaL_openlibs(state);
    // TIME answers text; as a whole number a time in milliseconds would not fit.
    this.#expose("tonumber", (L: object) => {
      const text = lua.lua_type(L, 1) === lua.LUA_TNIL ? null : textAt(L, 1);
      const number = text === null || text.trim() === "" ? Number.NaN : Number(text);
      if (Number.isNaN(number)) lua.lua_pushnil(L);
      else lua.lua_pushnumber(L, number);
      return 1;
    });
    lua.lua_newtable(state);
    for (const protect of [false, true]) {
      lua.lua_pushcfunction(state, (L: object) => this.#redisCall(L, protect));
      lua.lua_setfield(state, -2, to_luastring(protect ? "pcall" : "call"));
    }
    lua.lua_pushcfunction(state, (L: object) => {
      push(L, new Failure(textAt(L, 1)));
      return 1;
    });
    lua.lua_setfield(state, -2, to_luastring("error_reply"));
    lua.lua_setglobal(state, to_luastring("redis"));
    lauxlib.luaL_dostring(state, to_luastring("unpack = table.unpack"));
  }

  /** Learns a script; answers its digest. */
  load(source: string): string {
    const sha = createHash("sha1").update(source, "latin1").digest("hex");
    if (this.#loaded.has(sha)) return sha;
    const [, flags = "", body = source] = /^#!lua ?([^\n]*)\n([\s\S]*)$/.exec(source) ?? [];
    const bytes = Uint8Array.from(body, (char) => char.charCodeAt(0));
    if (lauxlib.luaL_loadbuffer(this.#state, bytes, bytes.length, bytes) !== lua.LUA_OK) {
      throw new Error(textAt(this.#state, -1));
    }
    const reference = lauxlib.luaL_ref(this.#state, lua.LUA_REGISTRYINDEX);
    this.#loaded.set(sha, { reference, flags });
    return sha;
  }

  knows(sha: string): boolean {
    return this.#loaded.has(sha);
  }

  /** Whether the script may take memory when there is none. */
  allowsOom(sha: string): boolean {
    return this.#loaded.get(sha)?.flags.includes("allow-oom") ?? false;
  }

  forgetAll(): void {
    for (const { reference } of this.#loaded.values()) {
      lauxlib.luaL_unref(this.#state, lua.LUA_REGISTRYINDEX, reference);
    }
    this.#loaded.clear();
  }

  run(sha: string, keys: readonly string[], args: readonly string[], call: Call): Reply {
    const state = this.#state;
    const script = this.#loaded.get(sha);
    if (script === undefined) return new Failure("NOSCRIPT No matching script. Please use EVAL.");
    this.#call = call;
    for (const [name, values] of [
      ["KEYS", keys],
      ["ARGV", args],
    ] as const) {
      lua.lua_createtable(state, values.length, 0);
      values.forEach((value, index) => {
        pushText(state, value);
        lua.lua_rawseti(state, -2, index + 1);
      });
      lua.lua_setglobal(state, to_luastring(name));
    }
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, script.reference);
    const failed = lua.lua_pcall(state, 0, 1, 0) !== lua.LUA_OK;
    const reply = failed ? failureAt(state) : toReply(state, -1);
    lua.lua_settop(state, 0);
    return reply;
  }

  #expose(name: string, work: (L: object) => number): void {
    lua.lua_pushcfunction(this.#state, work);
    lua.lua_setglobal(this.#state, to_luastring(name));
  }

  #redisCall(L: object, protect: boolean): number {
    const args: string[] = [];
    for (let i = 1; i <= lua.lua_gettop(L); i++) args.push(textAt(L, i));
    const reply = this.#call(args);
    push(L, reply);
    return reply instanceof Failure && !protect ? lua.lua_error(L) : 1;
  }
}

/** As Redis does with arguments: numbers without a needless point. */
function textAt(L: object, index: number): string {
  if (lua.lua_type(L, index) === lua.LUA_TNUMBER) {
    const number = lua.lua_tonumber(L, index);
    return Number.isInteger(number) ? number.toFixed(0) : String(number);
  }
  const bytes: Uint8Array | null = lua.lua_tostring(L, index);
  return bytes === null ? "" : Buffer.from(bytes).toString("latin1");
}

function pushText(L: object, text: string): void {
  lua.lua_pushlstring(L, Buffer.from(text, "latin1"), text.length);
}

function push(L: object, reply: Reply): void {
  if (typeof reply === "number") lua.lua_pushnumber(L, reply);
  else if (typeof reply === "string") pushText(L, reply);
  else if (reply === null) lua.lua_pushboolean(L, false);
  else if (reply instanceof Status || reply instanceof Failure) {
    lua.lua_newtable(L);
    pushText(L, reply instanceof Status ? reply.text : reply.message);
    lua.lua_setfield(L, -2, to_luastring(reply instanceof Status ? "ok" : "err"));
  } else {
    lua.lua_createtable(L, reply.length, 0);
    reply.forEach((item, index) => {
      push(L, item);
      lua.lua_rawseti(L, -2, index + 1);
    });
  }
}

function toReply(L: object, index: number): Reply {
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TNUMBER:
      return Math.trunc(lua.lua_tonumber(L, index));
    case lua.LUA_TSTRING:
      return textAt(L, index);
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, index) ? 1 : null;
    case lua.LUA_TTABLE:
      return tableAt(L, lua.lua_absindex(L, index));
    default:
      return null;
  }
}

function tableAt(L: object, index: number): Reply {
  for (const [name, make] of [
    ["err", (text: string) => new Failure(text)],
    ["ok", (text: string) => new Status(text)],
  ] as const) {
    lua.lua_getfield(L, index, to_luastring(name));
    const text = lua.lua_type(L, -1) === lua.LUA_TSTRING ? textAt(L, -1) : null;
    lua.lua_pop(L, 1);
    if (text !== null) return make(text);
  }
  const items: Reply[] = [];
  for (let i = 1; ; i++) {
    lua.lua_rawgeti(L, index, i);
    const ended = lua.lua_type(L, -1) === lua.LUA_TNIL;
    if (!ended) items.push(toReply(L, -1));
    lua.lua_pop(L, 1);
    if (ended) return items;
  }
}

function failureAt(L: object): Failure {
  if (lua.lua_type(L, -1) === lua.LUA_TTABLE) {
    const reply = tableAt(L, lua.lua_absindex(L, -1));
    if (reply instanceof Failure) return reply;
  }
  return new Failure(`ERR ${textAt(L, -1)}`);
}

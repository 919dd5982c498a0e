/** It has no types of its own: as much of it as we use. */
declare module "fengari" {
  type State = object;
  type Native = (state: State) => number;

  interface LuaApi {
    readonly LUA_OK: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNIL: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TTABLE: number;
    lua_absindex(state: State, index: number): number;
    lua_createtable(state: State, items: number, fields: number): void;
    lua_error(state: State): number;
    lua_getfield(state: State, index: number, name: Uint8Array): void;
    lua_gettop(state: State): number;
    lua_newtable(state: State): void;
    lua_pcall(state: State, args: number, results: number, handler: number): number;
    lua_pop(state: State, count: number): void;
    lua_pushboolean(state: State, value: boolean): void;
    lua_pushcfunction(state: State, work: Native): void;
    lua_pushlstring(state: State, bytes: Uint8Array, length: number): void;
    lua_pushnil(state: State): void;
    lua_pushnumber(state: State, value: number): void;
    lua_rawgeti(state: State, index: number, item: number): void;
    lua_rawseti(state: State, index: number, item: number): void;
    lua_setfield(state: State, index: number, name: Uint8Array): void;
    lua_setglobal(state: State, name: Uint8Array): void;
    lua_settop(state: State, top: number): void;
    lua_toboolean(state: State, index: number): boolean;
    lua_tonumber(state: State, index: number): number;
    lua_tostring(state: State, index: number): Uint8Array | null;
    lua_type(state: State, index: number): number;
  }

  interface LuaLibrary {
    luaL_newstate(): State;
    luaL_dostring(state: State, source: Uint8Array): boolean;
    luaL_loadbuffer(state: State, bytes: Uint8Array, length: number, name: Uint8Array): number;
    luaL_ref(state: State, index: number): number;
    luaL_unref(state: State, index: number, reference: number): void;
  }

  const fengari: {
    readonly lua: LuaApi;
    readonly lauxlib: LuaLibrary;
    readonly lualib: { luaL_openlibs(state: State): void };
    to_luastring(text: string): Uint8Array;
  };
  export default fengari;
}

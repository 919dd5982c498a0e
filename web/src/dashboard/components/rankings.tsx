import type { JSX } from "preact";
import { bytes, count } from "../../../../src/cli/figures.ts";
import type { SlowReader } from "../../../../src/cli/instance-report.ts";
import type { Hitter } from "../../../../src/meters/heavy-hitters.ts";
import { Table } from "./table.tsx";

/** Who weighs most right now: in the last ten to twenty seconds. */
export function Rankings({
  rooms,
  users,
  readers,
}: {
  rooms: readonly Hitter[];
  users: readonly Hitter[];
  readers: readonly SlowReader[];
}): JSX.Element {
  return (
    <div class="panels">
      <Table
        title="Hottest rooms"
        columns={["Room", "#Deliveries"]}
        nothing="Nothing was sent to a room lately."
        rows={rooms.map(rowOf)}
      />
      <Table
        title="Busiest users"
        columns={["User", "#Messages"]}
        nothing="Nobody has sent anything lately."
        rows={users.map(rowOf)}
      />
      <Table
        title="Slowest readers"
        columns={["Connection", "User", "#Waiting"]}
        nothing="Everybody keeps up."
        rows={readers.map(({ connection, user, bytes: waiting }) => ({
          key: connection,
          cells: [<code key="id">{connection}</code>, user ?? "–", bytes(waiting)],
        }))}
      />
    </div>
  );
}

function rowOf({ name, count: weight, error }: Hitter) {
  const shown = error > 0 ? `${count(weight)} (at most ${count(error)} too many)` : count(weight);
  return { key: name, cells: [name, shown] };
}

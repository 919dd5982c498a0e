import type { JSX } from "preact";
import { useCluster } from "../use-cluster.ts";
import { Charts } from "./charts.tsx";
import { Instances } from "./instances.tsx";
import { Lookup } from "./lookup.tsx";
import { Rankings } from "./rankings.tsx";
import { Summary } from "./summary.tsx";
import { Troubles } from "./troubles.tsx";

/** Everything an operator looks at, the most pressing first. */
export function Board(): JSX.Element {
  const { cluster, link, now } = useCluster();
  const instances = cluster.instances(now);
  return (
    <main class="board">
      <Summary instances={instances} points={cluster.points} link={link} />
      <Charts points={cluster.points} />
      <Instances instances={instances} />
      <Rankings
        rooms={cluster.hottestRooms()}
        users={cluster.busiestUsers()}
        readers={cluster.slowestReaders()}
      />
      <Troubles troubles={cluster.troubles()} />
      <Lookup />
    </main>
  );
}

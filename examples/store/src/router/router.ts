import { Admission, memoryCoordinator } from "@evenkeel/admission-control";
import { MemdsClient } from "@evenkeel/memds";
import type { Fleet } from "../control/fleet.js";
import { DataPlane } from "./data-plane.js";
import { createRouterServer, type RouterServer } from "./http.js";
import { Routes } from "./routes.js";
import type { Credentials } from "./signatures.js";

export interface RouterOptions {
  readonly fleet: Fleet;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly credentials?: readonly Credentials[];
}

/** The request router: HTTP in front, admission, the routing cache, and the way to the storage nodes behind it. */
export class Router {
  readonly backend: DataPlane;
  readonly routes: Routes;
  readonly #server: RouterServer;
  readonly #memds: MemdsClient;
  readonly #admission: Admission;
  readonly #stopListening: () => void;

  readonly port: number;

  private constructor(
    port: number,
    server: RouterServer,
    backend: DataPlane,
    routes: Routes,
    memds: MemdsClient,
    admission: Admission,
    stopListening: () => void,
  ) {
    this.port = port;
    this.#server = server;
    this.backend = backend;
    this.routes = routes;
    this.#memds = memds;
    this.#admission = admission;
    this.#stopListening = stopListening;
  }

  static async listen({ fleet, host, port, credentials = [] }: RouterOptions): Promise<Router> {
    const memds = new MemdsClient({ servers: fleet.memdsMembers() });
    const stopListening = fleet.onMemdsMoved(() => memds.setServers(fleet.memdsMembers()));
    const routes = new Routes(memds);
    // Coordinator and router are one process: there is nobody whose leases it would have to learn of first.
    const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "router-1" });
    const backend = new DataPlane({
      routes,
      admission,
      callerTo: (id) => fleet.callerTo(id),
      get members() {
        return fleet.nodeIds();
      },
    });
    const server = createRouterServer(backend, { credentials });
    try {
      const address = await server.listen({ host, port });
      return new Router(address.port, server, backend, routes, memds, admission, stopListening);
    } catch (error) {
      stopListening();
      routes.close();
      await memds.close();
      await admission.close();
      throw error;
    }
  }

  /** What its routing cache sees, and what that asks of the memds fleet. */
  stats(): { readonly routes: ReturnType<Routes["stats"]>; readonly memds: ReturnType<MemdsClient["stats"]> } {
    return { routes: this.routes.stats(), memds: this.#memds.stats() };
  }

  async close(): Promise<void> {
    await this.#server.close();
    this.#stopListening();
    this.routes.close();
    await this.#memds.close();
    await this.#admission.close();
  }
}

import { spawnSync } from "node:child_process";
import { connect, createServer, type Server, type Socket } from "node:net";
import { missingCommand } from "../../../../scripts/needs.js";

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** What joins processes, and lets them not hear one another in one direction. */
export interface RealNetwork {
  /** How a program is started that is to live at this node: a command and the arguments before the program's own. */
  launch(node: string): readonly string[];
  /** What this node listens on. */
  hostOf(node: string): string;
  /** Where `from` reaches `to`, who listens at `port`. */
  route(from: string, to: string, port: number): Promise<Place>;
  /** From now on nothing that `from` sends arrives at `to`. Nobody is told. */
  cut(from: string, to: string): void;
  heal(): void;
  close(): void;
}

/** Of iproute2. */
const tool = "ip";

let worlds = 0;

/**
 * Each node in a network namespace of its own, joined by a bridge. A cut is a neighbour whose hardware address is nobody's: the kernel sends, and nothing
 * arrives, not even acknowledgements of TCP. Needs root.
 */
export class Namespaces implements RealNetwork {
  readonly #nodes: readonly string[];
  readonly #prefix: string;
  #cuts: [string, string][] = [];

  /** Undefined where namespaces can be made. */
  static missing(): string | undefined {
    if (process.platform !== "linux") return "needs Linux: network namespaces";
    const command = missingCommand(tool, "iproute2");
    if (command !== undefined) return command;
    const probe = `ek${process.pid}probe`;
    const made = spawnSync(tool, ["netns", "add", probe], { encoding: "utf8" });
    if (made.status !== 0) return `network namespaces cannot be made here (root?): ${made.stderr.trim()}`;
    // A bridge is a kernel module of its own.
    const bridged = spawnSync(tool, ["-n", probe, "link", "add", "hub", "type", "bridge"], { encoding: "utf8" });
    spawnSync(tool, ["netns", "del", probe]);
    return bridged.status === 0 ? undefined : `the kernel makes no bridge here: ${bridged.stderr.trim()}`;
  }

  constructor(nodes: readonly string[]) {
    this.#nodes = nodes;
    this.#prefix = `ek${process.pid}n${worlds++}`;
    try {
      const hub = this.#space("hub");
      ip("netns", "add", hub);
      ip("-n", hub, "link", "add", "hub", "type", "bridge");
      ip("-n", hub, "link", "set", "hub", "up");
      for (const node of nodes) {
        const space = this.#space(node);
        ip("netns", "add", space);
        ip("link", "add", "wire", "netns", space, "type", "veth", "peer", "name", `to-${node}`, "netns", hub);
        ip("-n", hub, "link", "set", "dev", `to-${node}`, "master", "hub", "up");
        ip("-n", space, "address", "add", `${this.hostOf(node)}/24`, "dev", "wire");
        ip("-n", space, "link", "set", "lo", "up");
        ip("-n", space, "link", "set", "wire", "up");
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  launch(node: string): readonly string[] {
    return [tool, "netns", "exec", this.#space(node), process.execPath];
  }

  hostOf(node: string): string {
    return `10.77.0.${this.#nodes.indexOf(node) + 1}`;
  }

  async route(_from: string, to: string, port: number): Promise<Place> {
    return { host: this.hostOf(to), port };
  }

  cut(from: string, to: string): void {
    this.#cuts.push([from, to]);
    this.#neighbour("replace", from, to, "lladdr", "02:00:00:00:00:01", "nud", "permanent");
  }

  heal(): void {
    for (const [from, to] of this.#cuts) this.#neighbour("del", from, to);
    this.#cuts = [];
  }

  close(): void {
    for (const name of [...this.#nodes, "hub"]) spawnSync(tool, ["netns", "del", this.#space(name)]);
  }

  #neighbour(verb: string, from: string, to: string, ...rest: string[]): void {
    ip("-n", this.#space(from), "neighbour", verb, this.hostOf(to), ...rest, "dev", "wire");
  }

  #space(name: string): string {
    return `${this.#prefix}-${name}`;
  }
}

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync(tool, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr.trim()}`);
}

interface Pipe {
  readonly from: string;
  readonly to: string;
  readonly source: Socket;
  readonly sink: Socket;
}

/**
 * All nodes on loopback, and between each two of them a proxy of this process for each direction of dialling. A cut holds back what goes one way, in the connections of either
 * side, as a network does that loses it: TCP sends it again, and it arrives when the way is open.
 */
export class Proxies implements RealNetwork {
  readonly #servers = new Map<string, { server: Server; place: Place; port: number }>();
  readonly #pipes = new Set<Pipe>();
  readonly #cuts = new Set<string>();
  /** Whose other end is gone, and who is not to know while the way is cut. */
  readonly #unaware = new Set<Socket>();

  launch(): readonly string[] {
    return [process.execPath];
  }

  hostOf(): string {
    return "127.0.0.1";
  }

  /** A node that comes back at another port is reached at the same place. */
  async route(from: string, to: string, port: number): Promise<Place> {
    const known = this.#servers.get(`${from} ${to}`);
    if (known !== undefined) {
      known.port = port;
      return known.place;
    }
    const server = createServer((dialled) => {
      const target = connect(this.#servers.get(`${from} ${to}`)?.port ?? port, "127.0.0.1");
      this.#pipe({ from, to, source: dialled, sink: target });
      this.#pipe({ from: to, to: from, source: target, sink: dialled });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a proxy has no port");
    const place = { host: "127.0.0.1", port: address.port };
    this.#servers.set(`${from} ${to}`, { server, place, port });
    return place;
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    for (const pipe of this.#pipes) if (pipe.from === from && pipe.to === to) pipe.source.pause();
  }

  heal(): void {
    this.#cuts.clear();
    for (const { source } of this.#pipes) source.resume();
    for (const socket of this.#unaware) socket.destroy();
    this.#unaware.clear();
  }

  close(): void {
    for (const { server } of this.#servers.values()) server.close();
    this.heal();
    for (const { source } of this.#pipes) source.destroy();
  }

  #pipe(pipe: Pipe): void {
    const { from, to, source, sink } = pipe;
    const cut = () => this.#cuts.has(`${from} ${to}`);
    this.#pipes.add(pipe);
    source.on("data", (bytes) => {
      if (sink.write(bytes)) return;
      source.pause();
      sink.once("drain", () => {
        if (!cut()) source.resume();
      });
    });
    const end = () => {
      this.#pipes.delete(pipe);
      // The end of a connection is a message too.
      if (cut()) this.#unaware.add(sink);
      else sink.destroy();
    };
    source.on("close", end);
    source.on("error", () => {});
    if (cut()) source.pause();
  }
}

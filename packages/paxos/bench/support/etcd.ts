import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Demand, type Load, latenciesOf, summary } from "./load.js";

/** Why etcd cannot be measured against here; undefined where it can. */
export const etcdMissing =
  spawnSync("sh", ["-c", "command -v etcd"], { stdio: "ignore" }).status === 0
    ? undefined
    : "etcd is not installed (Debian: etcd-server)";

export const etcdNote =
  "three etcd processes on the same disk, as installed; gRPC over node:http2 from processes of their own, sent to the leader";

const valueBytes = 256;
/** One of them keeps up with what etcd does for a single client; with more clients it would be the bottleneck. */
const driversMax = 2;
const clientsPerSession = 16;

/** A real three-node etcd with what drives it. */
export class Etcd {
  readonly #servers: ChildProcess[] = [];
  #drivers: ChildProcess[] = [];
  #dir = "";
  #leader = "";

  /** `file` is what `forkedAs` sends to `etcdDriver`. */
  static async open(file: string): Promise<Etcd> {
    const three = new Etcd();
    try {
      await three.#open(file);
    } catch (error) {
      await three.close();
      throw error;
    }
    return three;
  }

  async #open(file: string): Promise<void> {
    this.#dir = await mkdtemp(join(tmpdir(), "evenkeel-etcd-"));
    const ports = await freePorts(6);
    const [clientUrls, peerUrls] = [ports.slice(0, 3), ports.slice(3)].map((three) =>
      three.map((port) => `http://127.0.0.1:${port}`),
    ) as [string[], string[]];
    const cluster = peerUrls.map((url, i) => `n${i}=${url}`).join(",");
    for (const [i, peer] of peerUrls.entries()) {
      const client = clientUrls[i] as string;
      const where = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer];
      const who = ["--name", `n${i}`, "--data-dir", join(this.#dir, `n${i}`), "--initial-advertise-peer-urls", peer];
      const rest = ["--initial-cluster", cluster, "--log-level", "error", "--quota-backend-bytes", String(2 ** 33)];
      this.#servers.push(spawn("etcd", [...where, ...who, ...rest], { stdio: "ignore" }));
    }
    const url = await leaderAmong(clientUrls);
    this.#leader = url;
    for (let i = 0; i < driversMax; i++) {
      const child = fork(file, ["evenkeel-bench-node", "etcd-driver", url, ""], { serialization: "advanced" });
      this.#drivers.push(child);
    }
  }

  async load(demand: Demand): Promise<Load> {
    const drivers = this.#drivers.slice(0, demand.clients > 1 ? driversMax : 1);
    const share = drivers.length;
    const part: Demand = {
      ...demand,
      clients: demand.clients / share,
      ...(demand.rate === undefined ? {} : { rate: demand.rate / share }),
    };
    const before = await syncsOf(this.#leader);
    const answers = await Promise.all(
      drivers.map((driver) => {
        const answer = new Promise<{ latencies: number[]; ms: number }>((resolve, reject) => {
          driver.once("exit", () => reject(new Error("a driver of etcd ended")));
          driver.once("message", resolve as (message: unknown) => void);
        });
        driver.send(part);
        return answer;
      }),
    );
    const load = summary(
      answers.flatMap(({ latencies }) => latencies),
      Math.max(...answers.map(({ ms }) => ms)),
    );
    return { ...load, sync: p99Of(before, await syncsOf(this.#leader)) };
  }

  async close(): Promise<void> {
    const all = [...this.#drivers, ...this.#servers].filter((child) => child.exitCode === null);
    const gone = all.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of all) child.kill("SIGKILL");
    await Promise.all(gone);
    if (this.#dir !== "") await rm(this.#dir, { recursive: true, force: true });
  }
}

/** A process that asks etcd as fast as it answers. */
export async function etcdDriver(url: string): Promise<void> {
  const sessions: ClientHttp2Session[] = [];
  const value = Buffer.alloc(valueBytes, "x");
  let asked = 0;
  const serve = async (demand: Demand): Promise<void> => {
    const wanted = Math.ceil((demand.rate === undefined ? demand.clients : 64) / clientsPerSession);
    while (sessions.length < wanted) sessions.push(connect(url));
    const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`key-${i}`));
    const puts = keys.map((key) => framed(Buffer.concat([field(1, key), field(2, value)])));
    const ranges = keys.map((key) => framed(field(1, key)));
    const [path, bodies] = demand.what === "write" ? ["Put", puts] : ["Range", ranges];
    const ask = () => {
      const n = asked++;
      const session = sessions[n % sessions.length] as ClientHttp2Session;
      return call(session, `/etcdserverpb.KV/${path}`, bodies[n % bodies.length] as Buffer);
    };
    const started = performance.now();
    const latencies = await latenciesOf(demand, ask);
    process.send?.({ latencies, ms: performance.now() - started });
  };
  process.on("message", (demand: Demand) => void serve(demand));
  process.once("disconnect", () => process.exit());
}

function call(session: ClientHttp2Session, path: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    stream.on("trailers", (trailers) => {
      if (trailers["grpc-status"] === "0") resolve();
      else reject(new Error(`etcd answered ${String(trailers["grpc-message"])}`));
    });
    stream.on("error", reject);
    stream.resume();
    stream.end(body);
  });
}

/** A field of bytes in a protocol buffer; ours are shorter than 2^14. */
function field(number: number, bytes: Buffer): Buffer {
  const { length } = bytes;
  const size = length < 128 ? [length] : [(length & 127) | 128, length >>> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...size]), bytes]);
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Of etcd's own histogram: how many syncs of its log took no longer than so many seconds. */
async function syncsOf(url: string): Promise<ReadonlyMap<number, number>> {
  const metrics = await fetch(`${url}/metrics`).then((response) => response.text());
  const steps = metrics.matchAll(/^etcd_disk_wal_fsync_duration_seconds_bucket\{le="([^"]+)"\} (\S+)$/gm);
  return new Map(Array.from(steps, ([, seconds, count]) => [Number(seconds), Number(count)]));
}

/** The upper end of the step in which it lies, in milliseconds; 0 where there was none. */
function p99Of(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  const grown = [...after].map(([seconds, count]) => [seconds, count - (before.get(seconds) ?? 0)] as const);
  const all = Math.max(0, ...grown.map(([, count]) => count));
  const [seconds = 0] = grown.find(([seconds, count]) => !Number.isNaN(seconds) && count >= all * 0.99) ?? [];
  return all === 0 ? 0 : seconds * 1000;
}

async function leaderAmong(urls: readonly string[]): Promise<string> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 100) {
    for (const url of urls) {
      const metrics = await fetch(`${url}/metrics`).then(
        (response) => response.text(),
        () => "",
      );
      if (/^etcd_server_is_leader 1$/m.test(metrics)) return url;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("etcd has no leader after 30 s");
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { MemdsError } from "./core/errors.js";
import { MemdsServer } from "./server.js";
import type { MemdsServerOptions } from "./server-options.js";

/** What a command reads and writes beside its arguments. */
export interface CommandEdge {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends the server. */
  readonly signal: AbortSignal;
}

const usage = `evenkeel-memds: one member of a fleet that holds routing metadata in memory.

  evenkeel-memds --follow HOST:PORT [--peer HOST:PORT ...]    takes another member's updates as they come
  evenkeel-memds --peer HOST:PORT ...                         keeps equal to others
  evenkeel-memds --snapshot FILE                              serves what MemdsServer.snapshot() wrote

  --host HOST           default 127.0.0.1; beyond loopback only with a secret
  --port PORT           default 0: a free one
  --secret-file FILE    what clients, followers and peers must know; or in EVENKEEL_MEMDS_SECRET
  --entries-max N  --bytes-max N  --connections-max N  --history-bytes-max N
  --anti-entropy-ms N  --announce-ms N  --silence-ms N  --retry-ms N

It says "listening on HOST:PORT" and, once it answers look-ups, "ready at version N"; SIGTERM or SIGINT ends it.
`;

const numbers = {
  port: "port",
  "entries-max": "entriesMax",
  "bytes-max": "bytesMax",
  "connections-max": "connectionsMax",
  "history-bytes-max": "historyBytesMax",
  "anti-entropy-ms": "antiEntropyMs",
  "announce-ms": "announceMs",
  "silence-ms": "silenceMs",
  "retry-ms": "retryMs",
} as const;

/** Runs `evenkeel-memds` with these arguments until the signal. Resolves to the exit status: 0, or 2 where it could not be done. */
export async function runCommand(args: readonly string[], { out, err, env, signal }: CommandEdge): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        host: { type: "string", default: "127.0.0.1" },
        follow: { type: "string" },
        peer: { type: "string", multiple: true, default: [] },
        snapshot: { type: "string" },
        "secret-file": { type: "string" },
        help: { type: "boolean", short: "h", default: false },
        port: { type: "string" },
        "entries-max": { type: "string" },
        "bytes-max": { type: "string" },
        "connections-max": { type: "string" },
        "history-bytes-max": { type: "string" },
        "anti-entropy-ms": { type: "string" },
        "announce-ms": { type: "string" },
        "silence-ms": { type: "string" },
        "retry-ms": { type: "string" },
      },
    });
    if (values.help) {
      out(usage);
      return 0;
    }
    if (values.follow === undefined && values.peer.length === 0 && values.snapshot === undefined) {
      err(usage);
      return 2;
    }
    const secret =
      values["secret-file"] === undefined
        ? env.EVENKEEL_MEMDS_SECRET
        : (await readFile(values["secret-file"], "utf8")).trim();
    const limits: Record<string, number> = {};
    for (const [flag, option] of Object.entries(numbers)) {
      const value = values[flag as keyof typeof numbers];
      if (value !== undefined) limits[option] = value.trim() === "" ? Number.NaN : Number(value);
    }
    const options: MemdsServerOptions = {
      ...limits,
      host: values.host,
      secret,
      ...(values.follow === undefined ? {} : { follow: address("--follow", values.follow) }),
      peers: values.peer.map((peer) => address("--peer", peer)),
    };
    const snapshot = values.snapshot === undefined ? undefined : await readFile(values.snapshot);
    await using server = await MemdsServer.listen(options);
    if (snapshot !== undefined) server.loadSnapshot(snapshot);
    out(`listening on ${server.host}:${server.port}\n`);
    if (signal.aborted) return 0;
    await server.whenReady({ signal }).then(
      () => out(`ready at version ${server.version}\n`),
      (error: unknown) => {
        if (!signal.aborted) throw error;
      },
    );
    if (!signal.aborted) await once(signal, "abort");
    return 0;
  } catch (error) {
    err(`evenkeel-memds: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

function address(flag: string, text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, at)).replace(/^\[(.*)\]$/, "$1");
  const port = Number(text.slice(at + 1));
  if (host === "" || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new MemdsError("ERR_MEMDS_ARGUMENT", `${flag} must be HOST:PORT, not ${JSON.stringify(text)}`);
  }
  return { host, port };
}

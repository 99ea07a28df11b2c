#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { CoordinatorServer } from "./server.js";

const usage = `evenkeel-admission [options]: a coordinator for @evenkeel/admission-control over HTTP

  --host 127.0.0.1     where to listen; beyond loopback only with EVENKEEL_ADMISSION_TOKEN
  --port 7070
  --self URL           how members reach this server, as it stands in the ring; needed with --ring
  --ring PATH|URL      JSON { "epoch": 1, "nodes": ["http://10.0.0.1:7070", ...] }, looked up every second
  --ring-ttl-ms 5000   the longest time for which any server may still work by a ring that was replaced
  --lease-ms 10000     how long a share may be spent after its settlement
  EVENKEEL_ADMISSION_TOKEN in the environment: a secret that members must send
`;

const say = (text: string) => process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "7070" },
      self: { type: "string" },
      ring: { type: "string" },
      "ring-ttl-ms": { type: "string", default: "5000" },
      "lease-ms": { type: "string", default: "10000" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const { ring, self } = values;
  const token = process.env.EVENKEEL_ADMISSION_TOKEN;
  const server = await CoordinatorServer.listen({
    host: values.host,
    port: Number(values.port),
    leaseMs: Number(values["lease-ms"]),
    self,
    token,
    ...(ring === undefined ? {} : { ringTtlMs: Number(values["ring-ttl-ms"]), ring: (signal) => lookUp(ring, signal) }),
  });
  say(`settling at ${server.url}`);
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => void server.close());
}

async function lookUp(place: string, signal: AbortSignal): Promise<unknown> {
  if (!/^https?:/.test(place)) return JSON.parse(await readFile(place, { encoding: "utf8", signal }));
  const response = await fetch(place, { signal });
  if (!response.ok) throw new Error(`${place} answered ${response.status}`);
  return await response.json();
}

main().catch((error: unknown) => {
  process.stderr.write(`evenkeel-admission: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 1;
});

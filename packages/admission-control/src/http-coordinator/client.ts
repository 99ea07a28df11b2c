import { AdmissionError, argumentError, checkName, checkOptions } from "../core/errors.js";
import type { Coordinator, Grant, Settlement } from "../core/protocol.js";
import { type Ring, RingOwners, ringFrom } from "../core/ring.js";
import { ANSWER_BYTES_MAX, type SettleAnswer, settleAnswerFrom, WIRE_VERSION } from "./wire.js";

export interface HttpCoordinatorOptions {
  /** Any of the servers, to learn the ring from: "http://10.0.0.1:7070". */
  readonly nodes: readonly string[];
  /** The secret that the servers were given, 1 to 1,024 characters. Default none. */
  readonly token?: string | undefined;
  /** Default the global `fetch`, which keeps connections open. */
  readonly fetch?: typeof fetch;
}

const names: Record<keyof HttpCoordinatorOptions, 0> = { nodes: 0, token: 0, fetch: 0 };

export interface HttpCoordinatorStats {
  readonly messages: number;
  readonly failures: number;
  readonly ring: Ring;
  readonly lastError: unknown;
}

export interface HttpCoordinator extends Coordinator {
  stats(): HttpCoordinatorStats;
}

/** A limit is asked for at its owner, and once more where that one says it is. */
const HOPS_MAX = 3;

/**
 * Settles with a fleet of `CoordinatorServer`s, each limit with its owner on the ring. A ring with a higher epoch is followed as
 * soon as any server tells of it.
 */
export function httpCoordinator(options: HttpCoordinatorOptions): HttpCoordinator {
  options = checkOptions("httpCoordinator", options, names);
  const first = ringFrom({ epoch: 0, nodes: options.nodes });
  if (first === undefined) throw argumentError("nodes", "addresses such as http://10.0.0.1:7070", options.nodes);
  const { nodes } = first;
  if (options.token !== undefined) checkName("token", options.token);
  const send = options.fetch ?? fetch;
  if (typeof send !== "function") throw argumentError("fetch", "a function", send);
  const headers = {
    "Content-Type": "application/json",
    ...(options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }),
  };
  const counts = { messages: 0, failures: 0 };
  let lastError: unknown;
  let owners = new RingOwners(first);

  function follow(ring: Ring | undefined): void {
    if (ring !== undefined && ring.epoch > owners.ring.epoch) owners = new RingOwners(ring);
  }

  async function ask(node: string, settlements: readonly Settlement[], signal: AbortSignal): Promise<SettleAnswer> {
    counts.messages += 1;
    const body = JSON.stringify({ version: WIRE_VERSION, epoch: owners.ring.epoch, settlements });
    const response = await send(`${node}/v1/settle`, { method: "POST", headers, body, signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new AdmissionError("ERR_ADMISSION_ANSWER", `${node} answered ${response.status}`);
    }
    const answer = settleAnswerFrom(await textOf(response));
    if (answer === undefined)
      throw new AdmissionError("ERR_ADMISSION_ANSWER", `${node} did not answer in version ${WIRE_VERSION}`);
    return answer;
  }

  /** Those of one owner; what turns out to be elsewhere is handed back. */
  async function settleAt(
    node: string,
    settlements: readonly Settlement[],
    signal: AbortSignal,
    grants: Grant[],
  ): Promise<Settlement[]> {
    try {
      const { grants: given, elsewhere, ring } = await ask(node, settlements, signal);
      grants.push(...given);
      follow(ring);
      const moved = new Set(elsewhere);
      return settlements.filter(({ limit }) => moved.has(limit));
    } catch (error) {
      counts.failures += 1;
      lastError = error instanceof AdmissionError ? error : unreachable(node, error);
      void lookForRing(node, signal);
      return [];
    }
  }

  /** Where a server fails, another may know of a ring without it. One is asked, the next one next time. */
  async function lookForRing(failed: string, signal: AbortSignal): Promise<void> {
    const others = [...new Set([...owners.ring.nodes, ...nodes])].filter((node) => node !== failed);
    const node = others[counts.failures % Math.max(1, others.length)];
    if (node === undefined) return;
    try {
      const response = await send(`${node}/v1/ring`, { headers, signal });
      if (response.status === 200) follow(ringFrom(JSON.parse(await textOf(response))));
      else await response.body?.cancel();
    } catch {
      // Then the next one knows more.
    }
  }

  async function settleAll(all: readonly Settlement[], signal: AbortSignal, grants: Grant[]): Promise<void> {
    let left = all;
    for (let hop = 0; hop < HOPS_MAX && left.length > 0; hop += 1) {
      const byOwner = new Map<string, Settlement[]>();
      for (const settlement of left) {
        const node = owners.owner(settlement.limit) as string;
        byOwner.set(node, [...(byOwner.get(node) ?? []), settlement]);
      }
      const moved = await Promise.all([...byOwner].map(([node, some]) => settleAt(node, some, signal, grants)));
      left = moved.flat();
    }
  }

  return {
    async settle(settlements, { signal }) {
      signal.throwIfAborted();
      const grants: Grant[] = [];
      const before = counts.failures;
      const timeIsUp = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      // A server that is gone or slow takes its own limits only.
      await Promise.race([settleAll(settlements, signal, grants), timeIsUp]);
      if (grants.length > 0) return grants;
      signal.throwIfAborted();
      if (counts.failures > before) throw lastError;
      return grants;
    },
    stats: () => ({ ...counts, ring: owners.ring, lastError }),
  };
}

/** What `fetch` says is "fetch failed"; why, stands in its cause. */
function unreachable(node: string, error: unknown): AdmissionError {
  const said = [error, (error as Error | undefined)?.cause].map((one) => (one instanceof Error ? one.message : ""));
  const message = [node, ...said].filter((text) => text !== "").join(": ");
  return new AdmissionError("ERR_ADMISSION_AWAY", message, { cause: error });
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new AdmissionError("ERR_ADMISSION_ANSWER", `an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

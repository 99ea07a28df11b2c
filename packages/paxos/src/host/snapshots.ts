import { crc32 } from "node:zlib";
import { ClientTable } from "../core/client-table.js";
import type { PaxosCore } from "../core/core.js";
import { PaxosError } from "../core/errors.js";
import type { CoreEvent, Position } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Applier } from "./applier.js";
import type { Arrears } from "./arrears.js";
import type { ReplicaHome } from "./home.js";
import type { HostMessage, SnapshotMessage } from "./host-messages.js";
import { SnapshotReceiver } from "./snapshot-receiver.js";
import { SnapshotSender } from "./snapshot-sender.js";
import { spoolFile } from "./snapshot-spool.js";
import type { StateMachine } from "./state-machine.js";

/** How often a state machine that is behind its own log asks for a snapshot. */
const askMs = 500;

/** What snapshots need of their replica. */
export interface SnapshotParts<R> {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly home: ReplicaHome;
  readonly core: PaxosCore;
  readonly storage: GroupStorage;
  readonly machine: StateMachine<R>;
  readonly applier: Applier<R>;
  readonly post: (to: string, message: HostMessage) => void;
  readonly step: (event: CoreEvent) => void;
  /** What was chosen while the state machine had nothing to apply it to is in the log. */
  readonly arrears: () => Arrears<R>;
  readonly markInstall: (position: Position) => Promise<void>;
  readonly fail: (error: unknown) => void;
}

/** Both directions of one replica's snapshots, and the way back from one to the log. */
export class Snapshots<R> {
  readonly #parts: SnapshotParts<R>;
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  #askAtMs = 0;

  constructor(parts: SnapshotParts<R>) {
    this.#parts = parts;
    const { ids, home, core, storage, machine, applier, post, fail } = parts;
    const { now, random, snapshotPieceBytes: pieceBytes, snapshotDir } = home.settings;
    const positionOf = (slot: number) => {
      // One that is not applied yet came with a snapshot that is being taken over: the table of clients is still that of before.
      const position = slot > applier.appliedThrough ? undefined : core.positionFrom(slot);
      return position?.slot === slot ? position : undefined;
    };
    const table = () => {
      const { clients, clientTable } = applier.executor;
      return clients?.used === true ? { slot: applier.appliedThrough, bytes: clientTable() } : undefined;
    };
    this.sender = new SnapshotSender({
      ids,
      machine,
      table,
      pieceBytes,
      pace: home.pace,
      now,
      random,
      positionOf,
      post,
    });
    this.receiver = new SnapshotReceiver({
      ids,
      machine,
      now,
      post,
      fail,
      wants: (slot) => slot > applier.appliedThrough && slot >= storage.trimmedThrough,
      prepare: async (position) => {
        applier.held = true;
        await parts.markInstall(position);
      },
      checkTable: (bytes) => {
        if (applier.executor.clients === undefined)
          throw new PaxosError(
            "ERR_PAXOS_CLIENT",
            "the others remember clients, this node was joined without clientsMax",
          );
        new ClientTable().load(bytes, crc32);
      },
      spoolFile: snapshotDir === undefined ? undefined : spoolFile(snapshotDir, ids.nodeId, ids.groupId),
      done: (position, clientTable) => this.#installed(position, clientTable),
    });
  }

  receive(from: string, message: SnapshotMessage): void {
    switch (message.type) {
      case "ask":
        if (!this.#parts.applier.behind) this.sender.needed(from, message.fromSlot);
        return;
      case "offer":
      case "offerWithClients":
        return this.receiver.offer(from, message);
      case "fetch":
        return this.sender.fetch(from, message.id, message.offset);
      case "piece":
        return this.receiver.piece(from, message);
      case "gone":
        return this.receiver.gone(from, message.id);
    }
  }

  /** Somebody is being helped, or has to be: time matters. */
  get active(): boolean {
    return this.sender.active || this.receiver.active || this.#parts.applier.behind;
  }

  tick(nowMs: number, leader: string | undefined): void {
    this.sender.tick(nowMs);
    this.receiver.tick(nowMs);
    const { applier, core, ids, post, storage } = this.#parts;
    if (!applier.behind || this.receiver.active || applier.lagging || nowMs < this.#askAtMs) return;
    this.#askAtMs = nowMs + askMs;
    const others = core.configuration.storage.filter((node) => node !== ids.nodeId);
    for (const node of leader === undefined ? others : [leader]) {
      post(node, { type: "ask", fromSlot: storage.trimmedThrough });
    }
  }

  close(): void {
    this.sender.close();
    this.receiver.close();
  }

  async settled(): Promise<void> {
    await this.receiver.settled();
    await this.sender.settled();
  }

  #installed(position: Position | undefined, clientTable: Uint8Array | undefined): void {
    const { applier, step, home, arrears } = this.#parts;
    if (position !== undefined) {
      applier.jumpTo(position.slot, clientTable);
      step({ type: "installed", position, nowMs: home.settings.now() });
    }
    applier.held = false;
    if (position !== undefined) arrears().begin();
    else arrears().resume();
  }
}

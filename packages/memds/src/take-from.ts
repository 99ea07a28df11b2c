import type { Snapshot } from "./core/snapshot.js";
import { askRoot, type RemoteRoot, reconcile } from "./core/sync-initiator.js";
import { syncEdge } from "./digest.js";
import type { PeerConnection } from "./peer-connection.js";

/**
 * What the other side holds, made from what we hold by asking for the difference.
 * @returns undefined where `want` says that it is not wanted.
 * @throws what `checkRoom` throws for what is too much, before anything of it is asked for.
 */
export async function takeFrom(
  connection: PeerConnection,
  held: Snapshot | undefined,
  checkRoom: (entries: number, bytes: number) => void,
  want: (remote: RemoteRoot) => boolean = () => true,
): Promise<Snapshot | undefined> {
  const remote = await askRoot(connection);
  if (!want(remote)) return undefined;
  checkRoom(remote.size, remote.bytes);
  return { version: remote.version, tree: await reconcile(held?.tree, remote, connection, syncEdge) };
}

/** What decides who is next in line. */
export interface Succession {
  readonly groupId: string;
  /** Who may lead, by the newest members known here. */
  readonly storageNodes: readonly string[];
}

/**
 * Where this node stands in the line of those who may lead the group: 0 is first, who cannot lead comes last. The line begins elsewhere for each group, so that nodes share the work
 * instead of standing against each other. `gone`: a node that does not count any more.
 */
export function placeInLine({ groupId, storageNodes }: Succession, self: string, gone?: string): number {
  const line = storageNodes.filter((node) => node !== gone).sort();
  const place = line.indexOf(self);
  if (place < 0) return line.length;
  return (place + hashOf(groupId)) % line.length;
}

/** FNV-1a, over code units: the same on every node. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

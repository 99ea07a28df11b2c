import { open } from "node:fs/promises";

/** Makes what was created, renamed and removed in a directory durable. Windows cannot open one, and journals that in order. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

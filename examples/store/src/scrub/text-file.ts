import { open, readFile, rename } from "node:fs/promises";
import type { SavedText } from "@evenkeel/scrubber";

/** A text in a file, replaced as a whole. It carries its own checksum: where a crash left half of it, it is passed over. */
export function textFile(path: string): SavedText {
  return {
    async load() {
      return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      });
    },
    async save(text) {
      const temporary = `${path}.new`;
      const file = await open(temporary, "w");
      try {
        await file.writeFile(text);
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    },
  };
}

import { describe, expect, test } from "vitest";
import { inventory, type Offered } from "./inventory.js";
import type { Inventoried } from "./subject.js";

const offered = Object.entries(inventory).filter((row): row is [string, Offered] => "works" in row[1]);
const notOffered = Object.entries(inventory).filter(([, row]) => "notOffered" in row);

/** Every operation works, and every error that can be is shown, through the SDK. */
export function inventorySuite(s: { readonly subject: Inventoried }): void {
  describe.each(offered)("%s", (_, { works, errors }) => {
    test("works", async () => {
      await seen(works, s.subject);
    });
    const shown = Object.entries(errors).flatMap(([name, proof]) =>
      proof.kind === "shown" ? [[name, proof.show] as const] : [],
    );
    if (shown.length > 0)
      test.each(shown)("%s", async (_, show) => {
        await seen(show, s.subject);
      });
  });

  test.each(notOffered)("%s is not offered, and says so", async (operation) => {
    await expect(s.subject.send(operation, {})).rejects.toMatchObject({ name: "UnknownOperationException" });
  });
}

/** A busy machine may depose a leader in the middle of it, and what became of that request is not known: then it is shown anew, under new names. */
async function seen(show: (subject: Inventoried) => Promise<unknown>, subject: Inventoried): Promise<void> {
  for (let attempts = 1; ; attempts++) {
    try {
      await show(subject);
      return;
    } catch (error) {
      if ((error as Error).name !== "InternalServerError" || attempts === 10) throw error;
    }
  }
}

import { ApiError } from "../api/errors.js";
import type { TableRecord } from "../api/model.js";
import type { Backend } from "../router/backend.js";
import { LEDGER_DEFINITION, LEDGER_TABLE } from "./ledger-record.js";

const PAUSE_MS = 20;

/** Finds the ledger, and has it made when the first transaction comes: a store without transactions has none. */
export class LedgerTable {
  readonly #backend: Pick<Backend, "table" | "createTable" | "describeTable">;
  readonly #deadlineMs: number;
  #making: Promise<TableRecord> | undefined;

  constructor(backend: Pick<Backend, "table" | "createTable" | "describeTable">, deadlineMs: number) {
    this.#backend = backend;
    this.#deadlineMs = deadlineMs;
  }

  async table(): Promise<TableRecord> {
    try {
      return await this.#backend.table(LEDGER_TABLE);
    } catch (error) {
      if (!isA(error, "ResourceNotFoundException")) throw error;
      this.#making ??= this.#make().finally(() => {
        this.#making = undefined;
      });
      return await this.#making;
    }
  }

  async #make(): Promise<TableRecord> {
    const giveUpAt = performance.now() + this.#deadlineMs;
    let table = await this.#backend.createTable(LEDGER_DEFINITION).catch((error: unknown) => {
      // Another router was faster, or this one's routes are a moment behind.
      if (isA(error, "ResourceInUseException")) return undefined;
      throw error;
    });
    while (table?.status !== "ACTIVE") {
      if (performance.now() > giveUpAt) throw new ApiError("InternalServerError");
      await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
      table = await this.#backend.describeTable(LEDGER_TABLE);
    }
    return table;
  }
}

const isA = (error: unknown, type: ApiError["type"]): boolean => error instanceof ApiError && error.type === type;

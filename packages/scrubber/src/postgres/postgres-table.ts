import { badArgument, checkOptions } from "../core/errors.js";
import type { Entry, ReplicaSource } from "../core/source.js";
import { iterableReplica } from "../iterable-replica.js";

/** What is needed of a client: a connection of its own. What `connect()` of a `pg` Pool resolves with fits. */
export interface PostgresSession {
  query(query: { readonly text: string; readonly rowMode: "array" }): Promise<{ readonly rows: readonly unknown[][] }>;
  release(): unknown;
}

export interface PostgresTableOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** `() => pool.connect()` for a `pg` Pool; one connection is held for as long as a pass takes. */
  readonly connect: () => Promise<PostgresSession>;
  /** As it stands in a query: `users`, `"My schema"."Users"`, or a query in parentheses. */
  readonly table: string;
  /** The key: a column or an expression, whose text is unique and never NULL (`id`, `tenant || ':' || id`). */
  readonly key: string;
  /** What is compared under it; by default the whole row: every column's text, in the table's order of columns. */
  readonly value?: string;
}

const optionNames: Record<keyof PostgresTableOptions, 0> = { name: 0, connect: 0, table: 0, key: 0, value: 0 };

const FETCH_ROWS = 1_000;
/** Text never has a zero byte: NULL is told from the empty text. */
const NULL_VALUE = Buffer.of(0);

/**
 * A PostgreSQL table, read in one snapshot (REPEATABLE READ), so that writes may go on meanwhile. Keys come in the order of their UTF-8 bytes, whatever collation the
 * column has. For a large table an index over `convert_to(key, 'UTF8')` saves the server a sort.
 */
export function postgresTable(options: PostgresTableOptions): ReplicaSource {
  const { name, connect, table, key, value = "t" } = checkOptions("postgresTable", options, optionNames);
  if (typeof connect !== "function") throw badArgument("connect", "a function", connect);
  // They become part of a query: `undefined` would be looked for as a column there.
  for (const [argument, text] of Object.entries({ table, key, value })) {
    if (typeof text !== "string" || text === "") throw badArgument(argument, "a name or an expression of SQL", text);
  }
  const keyBytes = `convert_to((${key})::text, 'UTF8')`;
  const valueBytes = `convert_to((${value})::text, 'UTF8')`;
  return iterableReplica({
    name,
    open: async () => {
      const session = await connect();
      const run = async (text: string) => (await session.query({ text, rowMode: "array" })).rows;
      try {
        await run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        const nulls = await run(`SELECT 1 FROM ${table} AS t WHERE (${key}) IS NULL LIMIT 1`);
        if (nulls.length > 0) throw badArgument("key", `never NULL in ${table}`, key);
      } catch (error) {
        session.release();
        throw error;
      }
      let cursors = 0;
      return {
        from: async function* (from): AsyncIterable<Entry> {
          const cursor = `evenkeel_${++cursors}`;
          const first = `'\\x${Buffer.from(from).toString("hex")}'::bytea`;
          const query = `SELECT ${keyBytes}, ${valueBytes} FROM ${table} AS t WHERE ${keyBytes} >= ${first} ORDER BY 1`;
          await run(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`);
          try {
            for (;;) {
              const rows = await run(`FETCH ${FETCH_ROWS} FROM ${cursor}`);
              for (const row of rows) {
                const [rowKey, value] = row as [Buffer, Buffer | null];
                yield { key: rowKey, value: value ?? NULL_VALUE };
              }
              if (rows.length < FETCH_ROWS) return;
            }
          } finally {
            // Where something else has failed already, this does too.
            await run(`CLOSE ${cursor}`).catch(() => undefined);
          }
        },
        close: async () => {
          try {
            await run("ROLLBACK");
          } finally {
            session.release();
          }
        },
      };
    },
  });
}

import { type Entry, iterableReplica, type ReplicaSource } from "@evenkeel/scrubber";

/** What is needed of a client: sessions that run statements, and give the lines that a COPY TO STDOUT writes. */
export interface PostgresLike {
  session(): Promise<{ lines(statements: string): AsyncIterable<string>; close(): Promise<void> }>;
}

export interface PostgresTableOptions {
  /** The key's text, as a column or an expression. */
  readonly key: string;
  readonly value: string;
}

/**
 * A PostgreSQL table, read in one exported snapshot, so that writes may go on. COLLATE "C" in a UTF-8 database is the order of bytes; any other
 * collation would sort keys as people do, and the scrubber would refuse them as out of order.
 */
export function postgresTable(
  name: string,
  postgres: PostgresLike,
  table: string,
  { key, value }: PostgresTableOptions,
): ReplicaSource {
  return iterableReplica({
    name,
    open: async () => {
      const holder = await postgres.session();
      let snapshot = "";
      const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ;";
      for await (const line of holder.lines(`${begin} COPY (SELECT pg_export_snapshot()) TO STDOUT;`)) snapshot = line;
      return {
        close: () => holder.close(),
        from: async function* (from): AsyncIterable<Entry> {
          const session = await postgres.session();
          const hex = (expression: string) => `encode(convert_to(${expression}, 'UTF8'), 'hex')`;
          const query =
            `SELECT ${hex(key)}, ${hex(value)} FROM ${table} ` +
            `WHERE convert_to(${key}, 'UTF8') >= '\\x${Buffer.from(from).toString("hex")}'::bytea ORDER BY ${key} COLLATE "C"`;
          try {
            for await (const line of session.lines(
              `${begin} SET TRANSACTION SNAPSHOT '${snapshot}'; COPY (${query}) TO STDOUT;`,
            )) {
              const [keyHex = "", valueHex = ""] = line.split("\t");
              yield { key: Buffer.from(keyHex, "hex"), value: Buffer.from(valueHex, "hex") };
            }
          } finally {
            await session.close();
          }
        },
      };
    },
  });
}

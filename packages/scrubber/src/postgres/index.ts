export {
  type PostgresSession,
  postgresTable,
  type PostgresTableOptions,
} from "./postgres-table.js";

import { tellingCode } from "./control/telling-code.js";
import { reason } from "./reason.js";

/** Why a store does not start, and what helps, in one line. */
export function complain(error: unknown, dir: string, host: string, port: number): string {
  const code = tellingCode(error);
  if (code === "EACCES" && (error as { syscall?: unknown }).syscall === "listen")
    return `port ${port} cannot be listened on (EACCES): choose another one with --port, from 1024 on as a rule`;
  switch (code) {
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${host} is no address of this machine (${code}): choose another one with --host`;
    case "EADDRINUSE":
      return `port ${port} is in use: stop what listens there, or choose another one with --port`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ENOENT":
      return `the data directory ${dir} cannot be written (${code}): choose another one with --data`;
    case "ENOTDIR":
    case "EEXIST":
      return `the data directory ${dir} is not a directory: choose another one with --data`;
    case "ERR_WAL_LOCKED":
      return `the data directory ${dir} is in use by another process: stop that one, or choose another directory with --data`;
    default:
      return reason(error);
  }
}

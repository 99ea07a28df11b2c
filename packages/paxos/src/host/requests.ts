import { encodeRequest, requestOverheadBytes } from "../core/client-table.js";
import { badArgument, checkInteger } from "../core/errors.js";

/** Under what name and number a client asks for a command to be carried out once. */
export interface AskedAs {
  /** What `register` gave. */
  readonly client: number;
  /** 1, 2, 3 and so on for this client's commands; the same for each attempt at one of them. */
  readonly sequence: number;
}

/** What is proposed for this command: itself, or itself with who asks for it. */
export function asProposed(
  command: Uint8Array,
  { client, sequence }: Partial<AskedAs>,
  commandBytesMax: number,
): { readonly command: Uint8Array; readonly once: boolean } {
  if (!(command instanceof Uint8Array)) throw badArgument("command", "a Uint8Array", command);
  const once = client !== undefined || sequence !== undefined;
  const bytesMax = once ? commandBytesMax - requestOverheadBytes : commandBytesMax;
  if (command.length > bytesMax) throw badArgument("command", `at most ${bytesMax} bytes long`, command.length);
  if (!once) return { command, once };
  checkInteger("client", client as number, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("sequence", sequence as number, 1, Number.MAX_SAFE_INTEGER);
  const asked = { client: client as number, sequence: sequence as number };
  return { command: encodeRequest({ op: "command", ...asked, command }), once };
}

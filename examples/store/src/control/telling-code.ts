/**
 * The code that says why something failed. One that only says that a system call did (`ERR_WAL_IO`) gives way to the operating system's
 * (`ENOTDIR`) among its causes.
 */
export function tellingCode(error: unknown): string | undefined {
  let told: string | undefined;
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code !== "string") continue;
    told = code;
    if (!code.endsWith("_IO")) break;
  }
  return told;
}

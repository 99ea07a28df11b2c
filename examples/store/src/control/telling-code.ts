/** The code that says most about why something failed: the operating system's (`ENOTDIR`), where one is among the causes, else the error's own. */
export function tellingCode(error: unknown): string | undefined {
  let own: string | undefined;
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code !== "string") continue;
    if (/^E[A-Z0-9]+$/.test(code)) return code;
    own ??= code;
  }
  return own;
}

import { readdirSync, readFileSync } from "node:fs";

/** A process and what is known of it. */
export interface ProcessCpu {
  readonly pid: number;
  readonly command: string;
  /** Microseconds on a processor since it began, of all its threads, the kernel's work for it included. */
  readonly cpuUs: number;
}

/**
 * The process and all below it. Time on a processor is the kernel's own account, to the nanosecond: unlike a rate it means the same on a machine that
 * has other things to do. Empty where there is no /proc.
 */
export function processTree(pid: number): ProcessCpu[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    let cpuUs = 0;
    const children: number[] = [];
    for (const thread of threads) {
      cpuUs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1000;
      const below = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
      if (below !== "") children.push(...below.split(" ").map(Number));
    }
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return [{ pid, command, cpuUs }, ...children.flatMap(processTree)];
  } catch {
    return [];
  }
}

export const totalUs = (processes: readonly ProcessCpu[]): number =>
  processes.reduce((sum, { cpuUs }) => sum + cpuUs, 0);

/** What each process that was there all the time used between two looks. */
export function usedBetween(before: readonly ProcessCpu[], after: readonly ProcessCpu[]): ProcessCpu[] {
  return after.flatMap((now) => {
    const then = before.find(({ pid }) => pid === now.pid);
    return then === undefined ? [] : [{ ...now, cpuUs: now.cpuUs - then.cpuUs }];
  });
}

import { readdir, readFile, readlink, writeFile } from 'node:fs/promises'

/** Who a process is. A pid alone is nobody: it is given to another process as soon as this one has ended. */
export interface ProcessFacts {
  pid: number
  /** Clock ticks since boot, as /proc/<pid>/stat says it: with the pid, unique until the next boot. */
  startTime: string
  /** The program's file; null when we may not see it. */
  exe: string | null
  args: string[]
}

/** What a pid is now; null when no such process lives (a zombie does not). */
export async function readProcess(pid: number): Promise<ProcessFacts | null> {
  try {
    const stat = parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))
    if (!stat || stat.dead) return null
    const [exe, commandLine] = await Promise.all([
      readlink(`/proc/${pid}/exe`).catch(() => null), // another user's process
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    const args = commandLine.split('\0').slice(0, -1)
    return { pid, startTime: stat.startTime, exe: exe?.replace(/ \(deleted\)$/, '') ?? null, args }
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

/** A process whose arguments fit; null when there is none. Reads all of /proc: for cases in which no pid was noted. */
export async function findProcess(fits: (args: string[]) => boolean): Promise<ProcessFacts | null> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const facts = await readProcess(Number(pid)).catch(() => null) // hidden from us: not ours
    if (facts && fits(facts.args)) return facts
  }
  return null
}

/** Whether the same process still lives. */
export async function isSameProcess(known: Pick<ProcessFacts, 'pid' | 'startTime'>): Promise<boolean> {
  try {
    const stat = parseStat(await readFile(`/proc/${known.pid}/stat`, 'utf8'))
    return stat !== undefined && !stat.dead && stat.startTime === known.startTime
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

/** Sends a signal to exactly this process. False when it has ended meanwhile. */
export async function signalProcess(
  target: Pick<ProcessFacts, 'pid' | 'startTime'>,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<boolean> {
  if (!(await isSameProcess(target))) return false
  try {
    process.kill(target.pid, signal)
    return true
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

/** Out of memory the kernel ends this one before us. Best effort: a node that can't be marked runs all the same. */
export async function offerToOutOfMemoryKiller(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/oom_score_adj`, '900').catch(() => undefined)
}

/** Changes with each boot of the host; start times are only comparable within one. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** Fields 3 (state) and 22 (start time) of proc(5)'s stat. The name in field 2 may hold spaces and brackets. Pure. */
export function parseStat(text: string): { dead: boolean; startTime: string } | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTime] = [fields[0], fields[19]]
  if (state === undefined || startTime === undefined || !/^\d+$/.test(startTime)) return undefined
  return { dead: state === 'Z' || state === 'X', startTime }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ESRCH'
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandError, runCommand } from '../../src/system/command.js'

export interface Trace {
  /** Every path that the program or a child of it tried to open, whether it was there or not. */
  opened: string[]
  /** Every address it tried to connect to, as strace prints it. */
  connected: string[]
  exitCode: number
}

/** Runs a program under strace. Throws `missing_tool` without strace: such a test proves nothing without it. */
export async function traceOpens(binary: string, args: string[], folder: string): Promise<Trace> {
  const log = join(folder, `strace-${process.hrtime.bigint()}`)
  const calls = 'open,openat,openat2,creat,connect,truncate,rename,renameat,renameat2,unlink,unlinkat,link,linkat'
  let exitCode = 0
  try {
    await runCommand('strace', ['-f', '-qq', '-y', '-s', '4096', '-e', `trace=${calls}`, '-o', log, binary, ...args], {
      timeoutMs: 60_000,
    })
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode === null) throw error
    exitCode = error.exitCode
  }
  const opened: string[] = []
  const connected: string[] = []
  for (const line of (await readFile(log, 'utf8')).split('\n')) {
    const connect = / connect\(\d+[^,]*, (.*)\) +=/.exec(line)?.[1]
    if (connect !== undefined) connected.push(connect)
    const path = / (?:open|openat|openat2|creat|truncate|rename\w*|unlink\w*|link\w*)\((.*)/.exec(line)?.[1]
    if (path !== undefined) opened.push(...pathsOf(path))
  }
  return { opened, connected, exitCode }
}

/** The quoted arguments; a relative one is put behind the folder that `-y` shows for its descriptor. */
export function pathsOf(call: string): string[] {
  const base = /^(?:AT_FDCWD|\d+)<([^>]*)>/.exec(call)?.[1]
  return [...call.matchAll(/"((?:[^"\\]|\\.)*)"/g)].flatMap(([, path]) => {
    if (path === undefined) return []
    return [path.startsWith('/') || base === undefined ? path : join(base, path)]
  })
}

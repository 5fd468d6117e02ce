import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** What is done to the nth call of a name that the watched thread makes. */
export interface Injection {
  syscall: string
  /** From 1, counted from when the faults begin. */
  nth: number
  fault: 'KILL' | Errno
}

export const ERRNOS = ['EIO', 'ENOSPC', 'EMFILE', 'EROFS'] as const
export type Errno = (typeof ERRNOS)[number]

/** Calls that change what a folder holds, and those that make it last. */
const CHANGING_CALLS =
  'fsync fdatasync rename renameat renameat2 link linkat unlink unlinkat symlink write pwrite64 writev pwritev ftruncate ' +
  'openat mkdir mkdirat rmdir fallocate copy_file_range sendfile ioctl fchown fchmod chmod chown lchown utimensat'

/** A changing call that a thread made: the nth of its name. */
export interface Call {
  syscall: string
  nth: number
}

export interface Watch {
  /** Resolves when strace has gone, which is when the thread has. */
  ended: Promise<void>
}

/** Makes a thread of another process fail; resolves when strace holds it. */
export async function inject(tid: number, { syscall, nth, fault }: Injection): Promise<Watch> {
  const how = fault === 'KILL' ? 'signal=KILL' : `error=${fault}`
  return attach(tid, ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:${how}:when=${nth}`, '-o', '/dev/null'])
}

/** Writes down the changing calls that a thread makes; `callsIn` reads that. */
export function record(tid: number, file: string): Promise<Watch> {
  return attach(tid, ['-e', `trace=${CHANGING_CALLS.replaceAll(' ', ',')}`, '-o', file, '-s', '0', '-y'])
}

/** Those of a record that change something below `folder`. They keep their number among all calls of their name. */
export function callsIn(record: string, folder: string): Call[] {
  const counts = new Map<string, number>()
  return record.split('\n').flatMap((line) => {
    const syscall = /^(\w+)\(/.exec(line)?.[1]
    if (syscall === undefined) return []
    const nth = (counts.get(syscall) ?? 0) + 1
    counts.set(syscall, nth)
    const isReading = syscall === 'openat' && !/O_CREAT|O_TRUNC/.test(line)
    return line.includes(folder) && !isReading ? [{ syscall, nth }] : []
  })
}

async function attach(tid: number, args: string[]): Promise<Watch> {
  const child = spawn('strace', ['-p', String(tid), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close').then(() => undefined)
  await new Promise<void>((resolve, reject) => {
    let text = ''
    createInterface({ input: child.stderr }).on('line', (line) => {
      text += `${line}\n`
      if (line.includes('attached')) resolve()
    })
    child.once('error', (error) =>
      reject(new Error('strace can not be run: install the package strace', { cause: error })),
    )
    void ended.then(() => reject(new Error(`strace did not attach: ${text}`)))
  })
  return { ended }
}

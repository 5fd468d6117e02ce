import { runCommand } from './command.js'
import type { Identity } from './identity.js'

/**
 * How a program is given a network of its own, in which there is nothing, not even a loopback that is up: `root` makes it
 * and then becomes the user; `user` makes it inside a user namespace of its own; `none`: this system allows neither.
 */
export type Separation = 'root' | 'user' | 'none'

const TRY_MS = 5000

/** Tried out, because kernels, containers and security modules refuse it in many ways. */
export async function findSeparation(): Promise<Separation> {
  const way: Separation = process.getuid?.() === 0 ? 'root' : 'user'
  const { program, args } = separated(way, { program: 'true', args: [], identity: undefined })
  return runCommand(program, args, { timeoutMs: TRY_MS }).then(
    () => way,
    () => 'none' as const,
  )
}

export interface Start {
  program: string
  args: string[]
  /** Whom the program is to run as in the end; undefined: as we do. */
  identity: Identity | undefined
}

/**
 * The same program in a network (and a mount namespace) of its own. `unshare` becomes the program: the pid stays, and so
 * does the working folder. The result's identity is whom `unshare` itself must be started as. Pure.
 */
export function separated(way: Separation, start: Start): Start {
  if (way === 'none') return start
  const { identity } = start
  const own = ['--net', '--mount']
  // Groups are dropped with --setgid; the capabilities go with the change of the user.
  const become = identity ? ['--setgid', String(identity.gid), '--setuid', String(identity.uid)] : []
  const flags = way === 'root' ? [...own, ...become] : ['--user', '--map-root-user', ...own]
  // In a user namespace of ours we are its root, which has no rights outside; the program has none inside either.
  const dropped = way === 'root' ? [] : ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--']
  return { program: 'unshare', args: [...flags, '--', ...dropped, start.program, ...start.args], identity: undefined }
}

/**
 * Runs a program with all rights over the namespaces of a process that was started `separated`, and none beyond.
 * Rejects as runCommand does.
 */
export async function runInside(way: Separation, pid: number, program: string, args: string[], input?: string) {
  const user = way === 'user' ? ['--user', '--preserve-credentials'] : []
  return runCommand('nsenter', ['--target', String(pid), ...user, '--net', '--mount', '--', program, ...args], {
    timeoutMs: TRY_MS,
    ...(input === undefined ? {} : { input }),
  })
}

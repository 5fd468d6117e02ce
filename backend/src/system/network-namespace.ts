import { runCommand } from './command.js'
import type { Identity } from './identity.js'

/**
 * How a program is given a network of its own, in which there is nothing, not even a loopback that is up: `root` makes it
 * and then becomes the user; `user` becomes the user and makes it inside a user namespace of its own, as where we are not
 * root, or root in a container that lacks the right; `none`: this system allows neither.
 */
export type Separation = 'root' | 'user' | 'none'

const TRY_MS = 5000

/** Tried out, because kernels, containers and security modules refuse it in many ways. `worker`: as whom, when root. */
export async function findSeparation(worker?: Identity): Promise<Separation> {
  const ways: Separation[] = process.getuid?.() === 0 ? ['root', 'user'] : ['user']
  for (const way of ways) {
    const { program, args, identity } = separated(way, { program: 'true', args: [], identity: worker })
    if (await runs(program, args, identity)) return way
  }
  return 'none'
}

/** Whether a program of ours may lay a file of its own over one of the system's, inside its namespaces. */
export async function canBindInside(way: Separation, file: string, worker?: Identity): Promise<boolean> {
  if (way === 'none') return false
  const [unshare, identity] =
    way === 'root' ? [['--mount'], undefined] : [[...USER_FLAGS, '--mount', ...UNTOLD], worker]
  return runs('unshare', [...unshare, '--', 'mount', '--bind', file, file], identity)
}

function runs(program: string, args: string[], identity: Identity | undefined): Promise<boolean> {
  return runCommand(program, args, { timeoutMs: TRY_MS, identity }).then(
    () => true,
    () => false,
  )
}

const USER_FLAGS = ['--user', '--map-root-user']
const USER_ENTRY = ['--user', '--preserve-credentials']
/**
 * In a user namespace of its own the kernel lets no mount out anyway; saying so again is a mount, which AppArmor's
 * profile for containers refuses.
 */
const UNTOLD = ['--propagation', 'unchanged']

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
  const flags = way === 'root' ? [...own, ...become] : [...USER_FLAGS, ...own, ...UNTOLD]
  // In a user namespace of ours we are its root, which has no rights outside; the program has none inside either.
  const dropped = way === 'root' ? [] : ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--']
  const args = [...flags, '--', ...dropped, start.program, ...start.args]
  return { program: 'unshare', args, identity: way === 'root' ? undefined : identity }
}

/** A process that was started `separated`. */
export interface Inside {
  way: Separation
  pid: number
  /** Whom it was started for: in the way `user` nobody else has rights over its namespaces. */
  identity: Identity | undefined
}

/** Whom a program must be started as that is to work on its namespaces; undefined: as we do. Pure. */
export function ownerOf({ way, identity }: Inside): Identity | undefined {
  return way === 'user' ? identity : undefined
}

/** Runs a program with all rights over the namespaces of a process, and none beyond. Rejects as runCommand does. */
export async function runInside(inside: Inside, program: string, args: string[], input?: string) {
  const user = inside.way === 'user' ? USER_ENTRY : []
  const enter = ['--target', String(inside.pid), ...user, '--net', '--mount', '--']
  return runCommand('nsenter', [...enter, program, ...args], {
    timeoutMs: TRY_MS,
    identity: ownerOf(inside),
    ...(input === undefined ? {} : { input }),
  })
}

/** How a program is started in the network of a process, with no right at all, there or here. Pure. */
export function startInNetwork(inside: Inside, program: string, args: string[]): Start {
  const enter = ['--target', String(inside.pid), ...(inside.way === 'user' ? USER_ENTRY : []), '--net', '--']
  // In the way `root` we are root here and must not stay so; in the other we are the node's user, and root only inside.
  const become = inside.way === 'root' ? ['--reuid=65534', '--regid=65534', '--clear-groups'] : []
  const dropped = ['setpriv', ...become, '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--']
  return { program: 'nsenter', args: [...enter, ...dropped, program, ...args], identity: ownerOf(inside) }
}

/** Lets a process speak with itself over 127.0.0.1. Rejects as runCommand does. */
export async function raiseLoopback(inside: Inside): Promise<void> {
  const enter = ['--target', String(inside.pid), ...(inside.way === 'user' ? USER_ENTRY : []), '--net', '--']
  await runCommand('nsenter', [...enter, 'ip', 'link', 'set', 'lo', 'up'], {
    timeoutMs: TRY_MS,
    identity: ownerOf(inside),
  })
}

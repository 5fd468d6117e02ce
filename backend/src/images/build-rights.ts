import { access, constants, readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { childEnvironment } from '../system/command-environment.js'
import { CommandError, runCommand } from '../system/command.js'
import { missingTool } from '../system/debian-packages.js'

const TIMEOUT_MS = 10_000

const TOOLS = ['apt-get', 'dpkg-deb', 'tar', 'cpio', 'mke2fs', 'qemu-img']

/**
 * Looks for every program that a build runs, before it spends a minute on the others' work. Throws `missing_tool` naming
 * the Debian package.
 */
export async function requireTools(usesMmdebstrap: boolean): Promise<void> {
  const debian = usesMmdebstrap ? ['mmdebstrap', 'unshare'] : []
  const unprivileged = isRoot() ? [] : ['fakeroot', ...(usesMmdebstrap ? ['newuidmap'] : [])]
  for (const tool of [...TOOLS, ...debian, ...unprivileged]) await requireTool(tool)
}

async function requireTool(tool: string): Promise<void> {
  const folders = childEnvironment()['PATH']?.split(':') ?? []
  for (const folder of folders) {
    const found = await access(join(folder, tool), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return
  }
  throw missingTool(tool)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

export type ChrootMode = 'unshare' | 'root'

/**
 * How mmdebstrap gets to be root in the tree that it makes. `unshare` has its own mount and process namespace, so that
 * whatever ends the build, no mount of it stays on this machine; for an ordinary user also a user namespace. `root` is
 * for a container that may not make namespaces; there mmdebstrap mounts nothing.
 *
 * Throws `unsupported` with the command that gives an ordinary user the right.
 */
export async function chooseChrootMode(recipeId: string, signal: AbortSignal): Promise<ChrootMode> {
  if (isRoot()) {
    // The same question that mmdebstrap asks.
    return (await canUnshare(['--mount', '--propagation', 'unchanged'], signal)) ? 'unshare' : 'root'
  }
  const { username, uid } = userInfo()
  const ids = (await Promise.all(['/etc/subuid', '/etc/subgid'].map(readIfThere))).map((text) => text.split('\n'))
  const hasIds = ids.every((lines) =>
    lines.some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`)),
  )
  if (!hasIds) {
    throw refusal(
      recipeId,
      `the user ${username} has no subordinate ids`,
      `Run \`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}\`, then try again.`,
    )
  }
  if (!(await canUnshare(['--user'], signal))) {
    throw refusal(
      recipeId,
      'this machine lets ordinary users make no user namespaces',
      'Run `sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000`, or SandLabX as root: `sudo ./sandlabx up`.',
    )
  }
  return 'unshare'
}

function refusal(recipeId: string, reason: string, hint: string): SandlabError {
  return new SandlabError('unsupported', `Could not build ${recipeId}: ${reason}.`, { hint })
}

async function canUnshare(flags: string[], signal: AbortSignal): Promise<boolean> {
  try {
    await runCommand('unshare', [...flags, '--', 'true'], { timeoutMs: TIMEOUT_MS, signal })
    return true
  } catch (error) {
    if (error instanceof CommandError && !error.cancelled) return false
    throw error
  }
}

async function readIfThere(path: string): Promise<string> {
  const there = await access(path).then(
    () => true,
    () => false,
  )
  return there ? readFile(path, 'utf8') : ''
}

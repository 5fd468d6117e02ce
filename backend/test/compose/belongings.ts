import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { untilSeen } from '../support/until.js'
import type { Stack } from './stack.js'

/** Everything that people have in a stack and must find again, as the API and the disks tell it. */
export interface Belongings {
  nodes: { id: string; name: string; owner: string; overlayPath: string; drives: string[]; snapshots: string[] }[]
  accounts: { login: string; role: string }[]
  /** Of the audit: each must be there later; more may come. */
  audit: string[]
  settings: unknown
  images: { id: string; sha256: string }[]
  /** sha256 of each disk file of a node that does not run, by name, as it lies on the host. */
  disks: Record<string, string>
}

export const STUDENT = { login: 'anna', password: 'a password of anna' }

/** One of each kind: an account, a node with a drive, a snapshot and content of its own, a changed setting. */
export async function fill(stack: Stack): Promise<void> {
  const administrator = await stack.administrator()
  const made = await administrator.send('POST', '/api/users', { ...STUDENT, role: 'student' })
  if (made.status !== 201) throw new Error(`no account: ${JSON.stringify(made.body)}`)
  const ownerId = made.body.user.id
  const node = await administrator.send('POST', '/api/nodes', { name: 'kept', image: 'tiny', ownerId })
  if (node.status !== 201) throw new Error(`no node: ${JSON.stringify(node.body)}`)
  await stack.sandlabx('drive', 'add', 'kept', 'data', '--size', '1G')
  await stack.sandlabx('snapshot', 'kept', 'create', 'first')
  await administrator.send('PATCH', '/api/settings', { trashDays: 11 })
}

export async function belongingsOf(stack: Stack): Promise<Belongings> {
  const { send } = await stack.administrator()
  const ask = async (path: string) => {
    const { status, body } = await send('GET', path)
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  const { nodes } = await ask('/api/nodes')
  const { users } = await ask('/api/users')
  const logins = new Map<string, string>(users.map((user: { id: string; login: string }) => [user.id, user.login]))
  const listed: Belongings['nodes'] = []
  for (const node of nodes) {
    const { drives } = await ask(`/api/nodes/${node.id}/drives`)
    const { snapshots } = await ask(`/api/nodes/${node.id}/snapshots`)
    listed.push({
      id: node.id,
      name: node.name,
      owner: logins.get(node.ownerId) ?? node.ownerId,
      overlayPath: node.overlayPath,
      drives: drives.map(({ id }: { id: string }) => id),
      snapshots: snapshots.map(({ name }: { name: string }) => name),
    })
  }
  const resting = nodes.filter(({ status }: { status: string }) => status === 'stopped')
  return {
    nodes: listed.toSorted((a, b) => a.name.localeCompare(b.name)),
    accounts: users.map(({ login, role }: { login: string; role: string }) => ({ login, role })),
    audit: (await ask('/api/audit?limit=500')).entries.map(({ id }: { id: unknown }) => String(id)),
    settings: (await ask('/api/settings')).settings,
    images: (await ask('/api/images')).images.map((image: { id: string; fingerprint: { sha256: string } }) => ({
      id: image.id,
      sha256: image.fingerprint.sha256,
    })),
    disks: await disksOf(stack, new Set(resting.map(({ id }: { id: string }) => id))),
  }
}

async function disksOf(stack: Stack, resting: Set<string>): Promise<Record<string, string>> {
  const folder = join(stack.folder, 'overlays')
  const disks: Record<string, string> = {}
  for (const name of await readdir(folder)) {
    const id = /^node_(.*)\.qcow2$/.exec(name)?.[1]
    if (id === undefined || !resting.has(id)) continue
    disks[name] = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex')
  }
  return disks
}

/** What of `before` is missing or different now; audit entries may have been added. Empty when all is there. */
export function missingFrom(now: Belongings, before: Belongings): string[] {
  const same = (what: keyof Belongings) =>
    JSON.stringify(now[what]) === JSON.stringify(before[what])
      ? []
      : [`${what}: ${JSON.stringify(now[what])} instead of ${JSON.stringify(before[what])}`]
  const lost = before.audit.filter((id) => !now.audit.includes(id))
  return [
    ...(['nodes', 'accounts', 'settings', 'images', 'disks'] as const).flatMap(same),
    ...(lost.length === 0 ? [] : [`audit: ${lost.length} entries are gone`]),
  ]
}

/** Waits for the starter images of a first start. */
export async function untilImages(stack: Stack): Promise<string[]> {
  const { send } = await stack.administrator()
  return untilSeen('the starter images', async () => {
    const images: { id: string }[] = (await send('GET', '/api/images')).body.images ?? []
    return images.length >= 2 && images.map(({ id }) => id)
  })
}

import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdSchema, type NodeId } from '../domain/ids.js'
import { layoutOf, overlayFile, type Layout } from '../domain/layout.js'
import { createNodeUsers } from './node-users.js'

/** Around our own user, so that the test needs no root to own files; ours is the second of four. */
const me = process.getuid?.() ?? 0
const RANGE = { first: me, count: 4 }

let layout: Layout
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'sbx-users-')))
  await mkdir(layout.overlays)
})
afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

const newId = (): NodeId => nodeIdSchema.parse(randomUUID())
async function diskOf(id: NodeId, uid = me): Promise<NodeId> {
  await writeFile(overlayFile(layout, id), '')
  if (uid !== me) await chown(overlayFile(layout, id), uid, uid)
  return id
}

it('gives each node another user, and the same one again', async () => {
  const users = createNodeUsers(layout, RANGE)
  const ids = [newId(), newId(), newId()]
  const first = await Promise.all(ids.map((id) => users.userOf(id)))
  expect(new Set(first.map(({ uid }) => uid)).size).toBe(3)
  for (const { uid, gid } of first) {
    expect(uid).toBeGreaterThanOrEqual(me)
    expect(gid).toBe(uid)
  }
})

it('finds the user of a node that it does not know as the owner of its disk', async () => {
  const id = await diskOf(newId())
  expect(await createNodeUsers(layout, RANGE).userOf(id)).toEqual({ uid: me, gid: me })
})

it('gives nobody the user of another disk, whoever asks first', async () => {
  await diskOf(newId())
  expect((await createNodeUsers(layout, RANGE).userOf(newId())).uid).not.toBe(me)
})

it('takes a disk that came with the user of another node for one without', async () => {
  const [id, restored] = [await diskOf(newId()), newId()]
  const users = createNodeUsers(layout, RANGE)
  await users.userOf(id)
  await diskOf(restored)
  expect((await users.userOf(restored)).uid).not.toBe(me)
  expect((await users.userOf(id)).uid).toBe(me)
})

it('takes users of nodes that are gone back when there are no others, and says when there are none', async () => {
  const users = createNodeUsers(layout, { first: me, count: 1 })
  await users.userOf(newId())
  expect((await users.userOf(await diskOf(newId()))).uid).toBe(me)
  await expect(users.userOf(newId())).rejects.toMatchObject({ code: 'no-capacity' })
})

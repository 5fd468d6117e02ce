import { randomUUID } from 'node:crypto'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { imageIdSchema } from '../../src/domain/ids.js'
import { quarantineDir, type Layout } from '../../src/domain/layout.js'
import { deleteImage } from '../../src/images/removal.js'
import { migrateProcedure, type MigrateIntent } from '../../src/migration/migrate.js'
import { runCommand } from '../../src/system/command.js'
import { about, nodeOver } from '../support/image-room.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const MIB = 1024 ** 2

/** An old installation's files, where nobody looks for left-overs. */
const oldFile = (layout: Layout, name: string) => `${quarantineDir(layout)}/old/${name}`

async function makeOld(layout: Layout): Promise<void> {
  const [base, disk] = [oldFile(layout, 'base.qcow2'), oldFile(layout, 'disk.qcow2')]
  await mkdir(dirname(base), { recursive: true })
  const run = (tool: string, ...args: string[]) => runCommand(tool, args, { timeoutMs: 30_000 })
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', base, '16M')
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, disk)
  await run('qemu-io', '-f', 'qcow2', '-c', 'write -q -P 66 2M 64k', disk)
}

async function intentOf(layout: Layout): Promise<MigrateIntent> {
  const [base, disk] = [oldFile(layout, 'base.qcow2'), oldFile(layout, 'disk.qcow2')]
  const { size, mtimeMs } = await stat(disk)
  const record = (name: string) => ({ ...nodeOver('old-base', name), diskBytes: 16 * MIB })
  return {
    folder: randomUUID(),
    images: [{ imageId: imageIdSchema.parse('old-base'), folder: randomUUID(), path: base, about: about('old-base') }],
    nodes: [
      {
        record: record('old-web'),
        disk: { path: disk, sizeBytes: size, mtimeMs: Math.floor(mtimeMs) },
        oldBase: base,
        inPlace: false,
      },
      { record: record('old-new'), disk: null, oldBase: base, inPlace: false },
    ],
    needBytes: 4 * MIB,
  }
}

async function removeWhatCameOver(rooms: Rooms): Promise<void> {
  const { store, nodes, images } = rooms
  for (const name of ['old-web', 'old-new']) {
    if (store.data.nodes.some((node) => node.name === name)) await nodes.delete(idOf(rooms, name), true, ACTOR)
  }
  for (const entry of await rooms.disks.trash.list()) {
    if (entry.node?.name.startsWith('old-')) await rooms.disks.trash.purge(entry)
  }
  if (store.data.images.some(({ id }) => id === 'old-base')) await deleteImage(images, 'old-base', ACTOR)
}

/** An older SandLabX that comes over: a base image, a node with its disk, and one that never ran. */
export const MIGRATION: Scenario = {
  name: 'migrate',
  kinds: ['lab.migrate'],
  async ready(rooms) {
    await removeWhatCameOver(rooms)
    await makeOld(rooms.layout)
  },
  async act({ layout, images }) {
    const start = { title: 'Bring in 2 nodes', actor: ACTOR, target: null, cancellable: true }
    await images.transactions.run(migrateProcedure(images), await intentOf(layout), start).result
  },
  state(data) {
    const there = data.nodes.filter(({ name }) => name.startsWith('old-')).length
    const hasImage = data.images.some(({ id }) => id === 'old-base')
    if (there === 0) return hasImage ? 'the image came without its nodes' : 'before'
    return there === 2 && hasImage ? 'after' : `only ${there} of 2 nodes`
  },
}

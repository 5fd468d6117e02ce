import { access, writeFile } from 'node:fs/promises'
import { createNodeSchema } from '../../src/domain/node.js'
import type { LabState } from '../../src/domain/state.js'
import { attachStorageSchema } from '../../src/domain/storage.js'
import { writeQcow2Overlay } from '../../src/system/qcow2-overlay.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const MIB = 1024 ** 2
const RIGHTS = { paths: { folders: [], any: false }, internet: true }

const named = (data: Readonly<LabState>, name: string) => data.nodes.some((node) => node.name === name)
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

/** The disk that alpha left when it was deleted. */
async function keptDisk({ disks }: Rooms): Promise<string | undefined> {
  const { orphans } = await disks.orphans.list()
  return orphans.find(({ formerly }) => formerly?.nodeName === 'alpha')?.path
}

async function deleteKeeping(rooms: Rooms): Promise<void> {
  if (!named(rooms.store.data, 'alpha') && (await keptDisk(rooms)) === undefined) {
    await rooms.nodes.create(createNodeSchema.parse({ name: 'alpha', image: 'empty' }), ACTOR)
  }
  if (!named(rooms.store.data, 'alpha')) return
  await rooms.nodes.delete(idOf(rooms, 'alpha'), false, ACTOR)
}

async function attach(rooms: Rooms, request: { path: string; config?: string }): Promise<void> {
  const asked = attachStorageSchema.parse(request)
  await rooms.operations.ended((await rooms.disks.orphans.attach(asked, ACTOR, RIGHTS)).id)
}

const configOf = (file: string, type: string) =>
  `name: taken\nimage: empty\nstorage:\n  - {name: root, type: ${type}, file: ${file}}\n`

/** A file that somebody has put there, attached with a config. */
function attachStray(name: string, file: string, put: (path: string) => Promise<void>): Scenario {
  return {
    name,
    kinds: ['node.attach'],
    async ready(rooms) {
      const { nodes, store, layout } = rooms
      if (named(store.data, 'taken')) await nodes.delete(idOf(rooms, 'taken'), true, ACTOR)
      const path = `${layout.overlays}/${file}`
      if (!(await isThere(path))) await put(path)
    },
    act: (rooms) => attach(rooms, { path: file, config: configOf(file, file.endsWith('.img') ? 'raw' : 'qcow2') }),
    state: (data) => (named(data, 'taken') ? 'after' : 'before'),
    files: ({ data, files }) =>
      named(data, 'taken') || files.has(`overlays/${file}`) ? null : 'neither the node nor the file is there',
  }
}

/** What becomes of disks that no record names. */
export const ORPHANS: readonly Scenario[] = [
  {
    name: 'attach-kept',
    kinds: ['node.attach'],
    ready: deleteKeeping,
    act: async (rooms) => attach(rooms, { path: (await keptDisk(rooms)) ?? '' }),
    state: (data) => (named(data, 'alpha') ? 'after' : 'before'),
  },
  attachStray('attach-config', 'stray.qcow2', (path) =>
    writeQcow2Overlay(path, { backingFile: '../images/empty.qcow2', virtualSizeBytes: 16 * MIB }),
  ),
  attachStray('attach-raw', 'stray.img', (path) => writeFile(path, Buffer.alloc(2 * MIB, 7))),
  {
    name: 'discard',
    kinds: ['storage.discard'],
    ready: deleteKeeping,
    async act(rooms) {
      const operation = await rooms.disks.orphans.discard((await keptDisk(rooms)) ?? '', ACTOR)
      await rooms.operations.ended(operation.id)
    },
    // No record tells of an orphan: its operation does, until the next disk is kept.
    state(data) {
      const last = data.operations.findLast(
        ({ kind, outcome }) => (kind === 'node.delete' || kind === 'storage.discard') && outcome === 'committed',
      )
      return last?.kind === 'storage.discard' ? 'after' : 'before'
    },
    files({ files }) {
      const kept = [...files].filter((file) => /^overlays\/(\.trash\/[^/]+\/)?node_[^/]+\.qcow2$/.test(file)).length
      return kept >= 2 ? null : 'the disk is neither in its place nor in the trash'
    },
  },
]

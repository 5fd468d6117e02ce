import { createHash } from 'node:crypto'
import { copyFile, readFile } from 'node:fs/promises'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { catalogEntrySchema } from '../../src/domain/image.js'
import {
  batchCreateSchema,
  cloneNodeSchema,
  createNodeSchema,
  type CloneNode,
  type CreateNode,
} from '../../src/domain/node.js'
import { quarantineDir, type Layout } from '../../src/domain/layout.js'
import type { LabState } from '../../src/domain/state.js'
import { importImage } from '../../src/images/import-room.js'
import { pullImage } from '../../src/images/pull.js'
import { deleteImage } from '../../src/images/removal.js'
import { about } from '../support/image-room.js'
import { startPublisher } from '../support/publisher.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import { DRIVES } from './scenarios-drives.js'
import { MIGRATION } from './scenarios-migration.js'
import { ORPHANS } from './scenarios-orphans.js'
import { REPAIRS } from './scenarios-repair.js'
import { SNAPSHOTS } from './scenarios-snapshots.js'
import { SUSPENDS } from './scenarios-suspend.js'
import { TRASH } from './scenarios-trash.js'
import { TEST_BOOT } from './scenarios-test-boot.js'
import { TRANSFERS } from './scenarios-transfer.js'

/** What a data folder shows: the state and every file in it. */
export interface Seen {
  data: Readonly<LabState>
  /** Relative to the data folder. */
  files: ReadonlySet<string>
}

/** One operation of the product, in a form that can be interrupted anywhere and judged afterwards. */
export interface Scenario {
  /** As in `--point <name>:<syscall>:<n>`. */
  name: string
  /** The procedures of the product that it goes through. */
  kinds: readonly string[]
  /** Brings it about that it can be done, in this process, whatever was done before. */
  ready(rooms: Rooms): Promise<void>
  /** Resolves when the operation was acknowledged. */
  act(rooms: Rooms): Promise<void>
  /** `before`: the records show nothing of it. `after`: all of it. Anything else says what is half done. */
  state(data: Readonly<LabState>): string
  /** What the files lack of what the records show; null when nothing. For what no record names. */
  files?(seen: Seen): string | null
}

const create = (changes: Partial<CreateNode> & { name: string }): CreateNode =>
  createNodeSchema.parse({ image: 'empty', ...changes })

const has = (rooms: Rooms, name: string) => named(rooms.store.data, name) !== undefined

async function isRunning(rooms: Rooms, name: string): Promise<boolean> {
  return (await rooms.engine.inspect(nodeIdSchema.parse(idOf(rooms, name)))).phase === 'running'
}

const named = (data: Readonly<LabState>, name: string) => data.nodes.find((node) => node.name === name)
const hasImage = (data: Readonly<LabState>, id: string) => data.images.some((image) => image.id === id)
const matching = ({ files }: Seen, where: RegExp) => [...files].filter((file) => where.test(file)).length

function allOrNone(data: Readonly<LabState>, names: readonly string[]): string {
  const there = names.filter((name) => named(data, name) !== undefined)
  if (there.length === 0) return 'before'
  return there.length === names.length ? 'after' : `only ${there.join(', ')} of ${names.length} nodes`
}

const deleting = (deleteStorage: boolean): Pick<Scenario, 'kinds' | 'ready' | 'act' | 'state'> => ({
  kinds: ['node.delete'],
  async ready(rooms) {
    if (!has(rooms, 'alpha')) await rooms.nodes.create(create({ name: 'alpha' }), ACTOR)
  },
  act: (rooms) => rooms.nodes.delete(idOf(rooms, 'alpha'), deleteStorage, ACTOR),
  state: (data) => (named(data, 'alpha') ? 'before' : 'after'),
})

export const INCOMING = 'incoming.qcow2'

const incoming = (layout: Layout) => `${quarantineDir(layout)}/${INCOMING}`

async function importAs({ layout, images }: Rooms, id: string): Promise<void> {
  if (id !== 'fresh') await copyFile(`${layout.images}/empty.qcow2`, incoming(layout))
  const source = { path: incoming(layout), consume: true }
  await (
    await importImage(images, { source, about: about(id) }, ACTOR)
  ).result
}

/** From a publisher in this very process. */
async function pullPulled({ images, layout }: Rooms): Promise<void> {
  const publisher = await startPublisher()
  const content = await readFile(`${layout.images}/empty.qcow2`)
  publisher.serve('/pulled.qcow2', content)
  const value = createHash('sha256').update(content).digest('hex')
  const entry = catalogEntrySchema.parse({
    id: 'pulled',
    title: 'Pulled',
    description: '',
    version: '1',
    loginNotes: '',
    cloudInit: false,
    firmware: 'bios',
    minimumMemoryMib: 64,
    sizeBytes: content.length,
    url: `${publisher.url}/pulled.qcow2`,
    checksum: { algorithm: 'sha256', value, url: null },
  })
  try {
    await (
      await pullImage(images, 'pulled', ACTOR, { catalog: [entry] })
    ).result
  } finally {
    await publisher.close()
  }
}

const BATCH = Array.from({ length: 5 }, (_, index) => `class-${index + 1}`)

async function createBatch({ nodes, operations }: Rooms): Promise<void> {
  const { name: _name, ...template } = create({ name: 'unused' })
  const batch = batchCreateSchema.parse({ template, count: BATCH.length, name: 'class-{n}' })
  await operations.ended((await nodes.createMany(batch, ACTOR)).id)
}

/** Of alpha, which has been written to and has two CPUs, so that a clone is told from any other node. */
async function cloneAlpha(
  { nodes, operations, store }: Rooms,
  request: Partial<CloneNode> & { name: string },
): Promise<void> {
  const alpha = store.data.nodes.find(({ name }) => name === 'alpha')
  const asked = cloneNodeSchema.parse(request)
  await operations.ended((await nodes.clone(alpha?.id ?? '', asked, ACTOR, { internet: true })).operation.id)
}

function cloning(name: string, request: Partial<CloneNode> & { name: string }, names: string[] = ['copy']): Scenario {
  return {
    name,
    kinds: ['node.clone'],
    async ready(rooms) {
      for (const one of names) if (has(rooms, one)) await rooms.nodes.delete(idOf(rooms, one), true, ACTOR)
    },
    act: (rooms) => cloneAlpha(rooms, request),
    state: (data) => allOrNone(data, names),
  }
}

/** Each operation that changes what is kept. The fixture has nodes alpha (used) and beta, images empty and spare. */
export const SCENARIOS: readonly Scenario[] = [
  ...TRANSFERS,
  ...TRASH,
  TEST_BOOT,
  MIGRATION,
  ...ORPHANS,
  ...DRIVES,
  ...REPAIRS,
  {
    name: 'create',
    kinds: ['node.create'],
    async ready(rooms) {
      if (has(rooms, 'web')) await rooms.nodes.delete(idOf(rooms, 'web'), true, ACTOR)
    },
    act: async (rooms) => void (await rooms.nodes.create(create({ name: 'web' }), ACTOR)),
    state: (data) => allOrNone(data, ['web']),
  },
  {
    name: 'batch',
    kinds: ['node.create'],
    async ready(rooms) {
      for (const name of BATCH) if (has(rooms, name)) await rooms.nodes.delete(idOf(rooms, name), true, ACTOR)
    },
    act: createBatch,
    state: (data) => allOrNone(data, BATCH),
  },
  cloning('clone-linked', { name: 'copy' }),
  cloning('clone-full', { name: 'copy', full: true }),
  cloning('clone-snapshot', { name: 'copy', snapshotFirst: true }),
  cloning('clone-many', { name: 'copy-{n}', count: 3 }, ['copy-1', 'copy-2', 'copy-3']),
  {
    ...cloning('clone-running', { name: 'copy' }),
    async ready(rooms) {
      if (has(rooms, 'copy')) await rooms.nodes.delete(idOf(rooms, 'copy'), true, ACTOR)
      if (!(await isRunning(rooms, 'alpha'))) await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)
    },
  },
  {
    ...cloning('clone-replace', { name: 'beta', idempotent: true }),
    async ready(rooms) {
      if (named(rooms.store.data, 'beta')?.cpus !== 2) return
      await rooms.nodes.delete(idOf(rooms, 'beta'), true, ACTOR)
      await rooms.nodes.create(create({ name: 'beta' }), ACTOR)
    },
    state(data) {
      const beta = named(data, 'beta')
      if (!beta) return 'beta is gone, and no clone has its place'
      return beta.cpus === 2 ? 'after' : 'before'
    },
  },
  {
    name: 'delete-keep',
    ...deleting(false),
    files(seen) {
      const kept = matching(seen, /^overlays\/node_/)
      return kept >= 4 ? null : `${kept} instead of 4 files in overlays/`
    },
  },
  {
    name: 'delete-trash',
    ...deleting(true),
    files(seen) {
      const trashed = matching(seen, /^overlays\/\.trash\//)
      return named(seen.data, 'alpha') || trashed >= 2 ? null : `${trashed} instead of 2 files in the trash`
    },
  },
  ...SNAPSHOTS,
  ...SUSPENDS,
  {
    name: 'rename',
    kinds: [],
    async ready(rooms) {
      if (has(rooms, 'gamma')) await rooms.nodes.update(idOf(rooms, 'gamma'), { name: 'alpha' }, ACTOR)
    },
    act: async (rooms) => void (await rooms.nodes.update(idOf(rooms, 'alpha'), { name: 'gamma' }, ACTOR)),
    state: (data) => (named(data, 'alpha') ? 'before' : allOrNone(data, ['gamma'])),
  },
  {
    name: 'start',
    kinds: [],
    async ready(rooms) {
      if (await isRunning(rooms, 'alpha')) await rooms.nodes.stop(idOf(rooms, 'alpha'), true, ACTOR)
    },
    act: async (rooms) => void (await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)),
    state: (data) => (named(data, 'alpha')?.generation === 0 ? 'before' : 'after'),
  },
  {
    name: 'stop',
    kinds: [],
    async ready(rooms) {
      if (!(await isRunning(rooms, 'alpha'))) await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)
    },
    act: async (rooms) => void (await rooms.nodes.stop(idOf(rooms, 'alpha'), true, ACTOR)),
    state: (data) => (named(data, 'alpha')?.desired === 'running' ? 'before' : 'after'),
  },
  {
    name: 'image-import',
    // A build is one more step before these, which writes into its staging folder only.
    kinds: ['image.import', 'image.build'],
    async ready({ layout, store, images }) {
      if (hasImage(store.data, 'fresh')) await deleteImage(images, 'fresh', ACTOR)
      await copyFile(`${layout.images}/empty.qcow2`, incoming(layout))
    },
    act: (rooms) => importAs(rooms, 'fresh'),
    state: (data) => (hasImage(data, 'fresh') ? 'after' : 'before'),
    files(seen) {
      const lost = !hasImage(seen.data, 'fresh') && !seen.files.has(`images/.quarantine/${INCOMING}`)
      return lost ? 'neither the image nor its upload is there' : null
    },
  },
  {
    name: 'image-pull',
    kinds: ['image.pull'],
    async ready({ store, images }) {
      if (hasImage(store.data, 'pulled')) await deleteImage(images, 'pulled', ACTOR)
    },
    act: pullPulled,
    state: (data) => (hasImage(data, 'pulled') ? 'after' : 'before'),
  },
  {
    name: 'image-delete',
    kinds: ['image.delete'],
    async ready(rooms) {
      if (!hasImage(rooms.store.data, 'spare')) await importAs(rooms, 'spare')
    },
    act: ({ images }) => deleteImage(images, 'spare', ACTOR),
    state: (data) => (hasImage(data, 'spare') ? 'before' : 'after'),
  },
]

export function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name)
  if (!found) throw new Error(`there is no operation ${name}; there are ${SCENARIOS.map((one) => one.name).join(', ')}`)
  return found
}

import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { operationIdSchema } from '../../src/domain/ids.js'
import { layoutOf, type Layout } from '../../src/domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../../src/domain/node.js'
import type { CatalogEntry, Image } from '../../src/domain/image.js'
import { createBus, type Bus } from '../../src/events/bus.js'
import { buildImage as startBuild } from '../../src/images/build.js'
import type { ImagesContext, StartedImage } from '../../src/images/context.js'
import type { ImageLimits } from '../../src/images/image-limits.js'
import type { ImageAbout } from '../../src/images/image-record.js'
import { importImage as startImport, type ImportRequest } from '../../src/images/import-room.js'
import { pullImage as startPull, type PullOptions } from '../../src/images/pull.js'
import { deleteImage as removeImage } from '../../src/images/removal.js'
import { openStore, type Store } from '../../src/state/store.js'
import { createLog, type Logger } from '../../src/system/log.js'
import { createOperations, type OperationHandle, type Operations } from '../../src/transactions/operations.js'
import { createTransactions } from '../../src/transactions/transactions.js'

/** A data folder in which images are made by the one mechanism, as the backend does. */
export interface ImageRoom extends ImagesContext {
  folder: string
  /** Imports a file and waits for the end. */
  take(request: ImportRequest): Promise<Image>
  /** Everything below `images/`, hidden folders included, without what is there from the start. */
  files(): Promise<string[]>
  close(): Promise<void>
}

/** Who imports in these tests. */
export const IMPORTER = { id: null, login: 'test' }

/** With a real store; below a 0700 folder, as on a server where the worker may not go. */
export async function openImageRoom(): Promise<ImageRoom> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-images-'))
  const room = await openImageRoomAt(layoutOf(join(folder, 'data')))
  return {
    ...room,
    folder,
    async close() {
      await room.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** In a folder that stays. */
export async function openImageRoomAt(layout: Layout): Promise<Omit<ImageRoom, 'folder'>> {
  for (const path of [layout.images, layout.overlays, layout.state, layout.run]) await mkdir(path, { recursive: true })
  const log = createLog('silent')
  const { store } = await openStore({ layout, log })
  const bus = createBus()
  const operations = createOperations({ store, bus, log })
  const transactions = await createTransactions({ layout, store, operations, log })
  const context: ImagesContext = { layout, store, transactions, bus, log, now: () => new Date() }
  return {
    ...context,
    take: async (request) => (await startImport(context, request, IMPORTER)).result,
    async files() {
      const entries = await readdir(layout.images, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(layout.images.length + 1))
        .toSorted()
    },
    async close() {
      await operations.close()
      await store.close()
    },
  }
}

export interface TestOperation extends OperationHandle {
  readonly steps: { text: string; progress: number | null | undefined }[]
  readonly logged: string[]
  abort(): void
}

/** An operation's handle that notes what it is told. */
export function testOperation(): TestOperation {
  const controller = new AbortController()
  const steps: TestOperation['steps'] = []
  const logged: string[] = []
  return {
    id: operationIdSchema.parse(randomUUID()),
    signal: controller.signal,
    steps,
    logged,
    abort: () => controller.abort(),
    step: (text, progress) => void steps.push({ text, progress }),
    bytes: () => undefined,
    log: (text) => void logged.push(text),
  }
}

/** Where images are made, in the words of the tests: a room, and the operation that watches. */
export interface ImageWork {
  layout: Layout
  store: Store
  log: Logger
  bus?: Bus
  limits?: ImageLimits
  /** Hears every word of the work; its abort cancels it. */
  op?: OperationHandle
}

/** Imports by the one mechanism, as the API does, and waits for the end. */
export const importImage = (work: ImageWork & ImportRequest): Promise<Image> =>
  finished(work, (context) => startImport(context, { source: work.source, about: work.about }, IMPORTER))

export const buildImage = (work: ImageWork & { recipeId: string }): Promise<Image> =>
  finished(work, (context) => startBuild(context, work.recipeId, IMPORTER))

export interface PullWork extends ImageWork, PullOptions {
  id: string
  catalog: CatalogEntry[]
}
export const pullImage = (work: PullWork): Promise<Image> =>
  finished(work, (context) => {
    const { catalog, network } = work
    return startPull(context, work.id, IMPORTER, { catalog, ...(network ? { network } : {}) })
  })

export async function deleteImage(work: ImageWork & { id: string }): Promise<void> {
  await withContext(work, (context) => removeImage(context, work.id, IMPORTER))
}

function finished(work: ImageWork, start: (context: ImagesContext) => Promise<StartedImage>): Promise<Image> {
  return withContext(work, async (context) => (await start(context)).result)
}

async function withContext<T>(work: ImageWork, use: (context: ImagesContext) => Promise<T>): Promise<T> {
  const { layout, store, log, limits } = work
  const bus = work.bus ?? createBus()
  const operations = createOperations({ store, bus: createBus(), log })
  const watched = work.op ? watchedBy(work.op, operations) : operations
  const transactions = await createTransactions({ layout, store, operations: watched, log })
  try {
    return await use({ layout, store, transactions, bus, log, now: () => new Date(), ...(limits ? { limits } : {}) })
  } finally {
    await operations.close()
  }
}

/** Operations that tell another handle as well, and end when that one is aborted. */
function watchedBy(watcher: OperationHandle, operations: Operations): Operations {
  return {
    ...operations,
    start(about, work, options) {
      const started = operations.start(
        about,
        (op) =>
          work({
            ...op,
            step: (text, progress) => (op.step(text, progress), watcher.step(text, progress)),
            bytes: (done, total) => (op.bytes(done, total), watcher.bytes(done, total)),
            log: (text) => (op.log(text), watcher.log(text)),
          }),
        options,
      )
      const cancel = () => void operations.cancel(started.operation.id)
      if (watcher.signal.aborted) cancel()
      else watcher.signal.addEventListener('abort', cancel)
      return started
    },
  }
}

export function about(id: string, changes: Partial<ImageAbout> = {}): ImageAbout {
  return {
    id,
    title: `Test image ${id}`,
    description: '',
    origin: 'imported',
    version: '2026-11-21',
    firmware: 'bios',
    cloudInit: false,
    loginNotes: '',
    minimumMemoryMib: 64,
    ...changes,
  }
}

/** A stopped node over an image, as the state keeps it. */
export function nodeOver(imageId: string, name: string): NodeRecord {
  const id = randomUUID()
  return nodeRecordSchema.parse({
    id,
    name,
    ownerId: randomUUID(),
    imageId,
    base: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 },
    cpus: 1,
    memoryMib: 64,
    diskBytes: 8 * 1024 * 1024,
    overlayFile: `node_${id}.qcow2`,
    mac: '52:54:00:00:00:01',
    internet: false,
    guest: { user: 'student', passwordHash: null, sshKeys: [] },
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: '2026-11-21T00:00:00.000Z',
    updatedAt: '2026-11-21T00:00:00.000Z',
    events: [],
  })
}

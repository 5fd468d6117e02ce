import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { operationIdSchema } from '../../src/domain/ids.js'
import { layoutOf, type Layout } from '../../src/domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../../src/domain/node.js'
import type { ImageAbout } from '../../src/images/image-record.js'
import { openStore, type Store } from '../../src/state/store.js'
import { createLog, type Logger } from '../../src/system/log.js'
import type { OperationHandle } from '../../src/transactions/operations.js'

export interface ImageRoom {
  folder: string
  layout: Layout
  store: Store
  log: Logger
  /** Everything below `images/`, hidden folders included, without what is there from the start. */
  files(): Promise<string[]>
  close(): Promise<void>
}

/** A data folder with a real store; below a 0700 folder, as on a server where the worker may not go. */
export async function openImageRoom(): Promise<ImageRoom> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-images-'))
  const layout = layoutOf(join(folder, 'data'))
  for (const path of [layout.images, layout.overlays, layout.state, layout.run]) await mkdir(path, { recursive: true })
  const log = createLog('silent')
  const { store } = await openStore({ layout, log })
  return {
    folder,
    layout,
    store,
    log,
    async files() {
      const entries = await readdir(layout.images, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(layout.images.length + 1))
        .toSorted()
    },
    async close() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
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

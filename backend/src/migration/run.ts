import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { imageIdSchema, type UserId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import type { MigrateWish, MigrationPlan, MigrationReport } from '../domain/migration.js'
import { operationSchema } from '../domain/operation.js'
import { createBus, type Bus } from '../events/bus.js'
import { offline } from '../state/state-check.js'
import { openStore } from '../state/store.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { createOperations } from '../transactions/operations.js'
import { createTransactions } from '../transactions/transactions.js'
import { needsOwner, writeSecretly, type MigrationAccounts } from './accounts.js'
import { asideFile } from './disk-copies.js'
import { findOldInstallation, type OldInstallation } from './find.js'
import { neededFiles } from './image-choice.js'
import { migrateProcedure, type MigrateIntent } from './migrate.js'
import { hashImage } from './old-disks.js'
import { filesOf, planMigration, type Planned, type Present } from './plan.js'
import { aboutOldImage, recordOfOld } from './records.js'
import { prepareTarget, readTarget, refuseUnfinished, textOf } from './target.js'

export interface Migration {
  layout: Layout
  log: Logger
  /** Opens the lab's accounts; called only when something is to be done. `close` follows. */
  openAccounts(): Promise<{ accounts: MigrationAccounts; close(): Promise<void> }>
  /** Hears each step in words. */
  onProgress?: (text: string) => void
  now?: () => Date
  /** Aborted: everything is taken back. */
  signal?: AbortSignal
}

/** What would be done. Changes nothing, and asks no database. Throws as `findOldInstallation` and `readTarget` do. */
export async function planOnly({ layout }: Migration, wish: MigrateWish): Promise<MigrationPlan> {
  return whileNobodyWrites(layout, async () => {
    await refuseUnfinished(layout)
    const target = await readTarget(layout)
    return planMigration(await look(layout, wish), await presentOf(layout, target.state, null), wish).shown
  })
}

/**
 * Brings everything over, or nothing: see `migrate.ts` for disks and records. Accounts are made before, and taken back
 * when that fails. `token` is the plan's; `busy` when something else is found by now.
 */
export async function runMigration(
  migration: Migration,
  wish: MigrateWish & { token: string },
): Promise<MigrationReport> {
  const { layout } = migration
  const now = migration.now?.() ?? new Date()
  await mkdir(layout.state, { recursive: true, mode: 0o700 })
  const { target, found } = await whileNobodyWrites(layout, async () => {
    await refuseUnfinished(layout)
    return { target: await readTarget(layout), found: await look(layout, wish) }
  })
  const { shown, nodes } = planMigration(found, await presentOf(layout, target.state, null), wish)
  if (shown.token !== wish.token) throw changed()
  if (nodes.length === 0 && shown.accounts.length === 0) return nothingDone(shown, target.state)
  for (const folder of [layout.images, layout.overlays]) await mkdir(folder, { recursive: true, mode: 0o755 })
  const backup = await keepRecords(layout, found, now)
  const prepared = await prepareTarget(layout, target)
  try {
    const report = await withLab(migration, (lab) => bringOver(migration, lab, { wish, found, backup, now }))
    if (report.backup === null) {
      await prepared.takeBack()
      await rm(backup, { recursive: true })
    } else await prepared.keepIn(backup)
    return report
  } catch (error) {
    await prepared.takeBack()
    await rm(backup, { recursive: true })
    throw error
  }
}

type Lab = Awaited<ReturnType<typeof openLab>>

async function withLab<T>(migration: Migration, use: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await openLab(migration)
  try {
    return await use(lab)
  } finally {
    await lab.close()
  }
}

/** State, journal and accounts, as the backend opens them; alone, since the store holds the lock. */
async function openLab(migration: Migration) {
  const { layout, log } = migration
  const { store } = await openStore({ layout, log })
  const bus = createBus()
  const operations = createOperations({ store, bus, log })
  const closeState = async () => {
    await operations.close()
    await store.close()
  }
  try {
    const transactions = await createTransactions({ layout, store, operations, log })
    const context = { layout, store, bus, log, now: () => new Date() }
    const people = await migration.openAccounts()
    return {
      context,
      transactions,
      accounts: people.accounts,
      cancel(id: string) {
        // Once it is committed there is nothing to take back.
        if (operations.get(id)?.state === 'running' && operations.get(id)?.cancellable === true) operations.cancel(id)
      },
      async close() {
        try {
          await people.close()
        } finally {
          await closeState()
        }
      },
    }
  } catch (error) {
    await closeState()
    throw error
  }
}

interface Course {
  wish: MigrateWish
  found: OldInstallation
  backup: string
  now: Date
}

async function bringOver(migration: Migration, lab: Lab, course: Course): Promise<MigrationReport> {
  const { layout } = migration
  const { context, transactions, accounts } = lab
  const { wish, found, backup, now } = course
  const { nodes, images } = context.store.data
  const planned = planMigration(found, await presentOf(layout, context.store.data, await accounts.list()), wish)
  const isDone = planned.nodes.length === 0 && planned.accounts.every(({ action }) => action === 'here')
  if (isDone) return nothingDone(planned.shown, context.store.data)
  const folder = randomUUID()
  const intent = intentOf(planned, found, images, folder, now)
  const made = await accounts.make(planned.accounts, (passwords) => keepPasswords(backup, passwords))
  try {
    if (intent.nodes.length > 0 || intent.images.length > 0) {
      listen(migration, context.bus)
      const title = `Bring in ${intent.nodes.length} nodes of an older SandLabX`
      const about = { title, actor: { id: null, login: 'migration' }, target: null, cancellable: true }
      const { operation, result } = transactions.run(migrateProcedure(context), intent, about)
      migration.signal?.addEventListener('abort', () => lab.cancel(operation.id), { once: true })
      if (migration.signal?.aborted) lab.cancel(operation.id)
      await result
    }
  } catch (error) {
    await made.takeBack()
    throw error
  }
  const report: MigrationReport = {
    plan: planned.shown,
    at: now.toISOString(),
    verifiedDisks: intent.nodes.length,
    nodesBefore: nodes.length,
    nodesAfter: requireCount(context.store.data.nodes.length, nodes.length + intent.nodes.length),
    backup,
    passwords: made.passwords,
    removable: removableOf(layout, planned, folder),
  }
  const text = JSON.stringify({ ...report, passwords: [] }, undefined, 2)
  await writeFileDurably(join(backup, 'report.json'), `${text}\n`)
  return report
}

/** What is there now; of the images those are hashed that old nodes may stand on. */
async function look(layout: Layout, { from }: MigrateWish): Promise<OldInstallation> {
  const all = await findOldInstallation(layout, from)
  const named = new Set(all.nodes.flatMap(filesOf))
  const needed = neededFiles(
    all.nodes,
    all.disks.filter(({ file }) => named.has(file)),
  )
  const images = []
  for (const image of all.images) images.push(needed.has(image.file) ? await hashImage(image) : image)
  return { ...all, images }
}

async function presentOf(layout: Layout, state: Present['state'], accounts: Present['accounts']): Promise<Present> {
  return { state, accounts, overlaysFolder: layout.overlays, imageNames: await namesIn(layout.images) }
}

function intentOf(
  planned: Planned,
  found: OldInstallation,
  images: Lab['context']['store']['data']['images'],
  folder: string,
  now: Date,
): MigrateIntent {
  const pathOf = (imageId: string) => planned.images.find(({ id }) => id === imageId)?.from.path
  return {
    folder,
    images: planned.images.map((image) => ({
      imageId: imageIdSchema.parse(image.id),
      folder: randomUUID(),
      path: image.from.path,
      about: aboutOldImage(image, now),
    })),
    nodes: planned.nodes.map((node) => {
      const here = images.find(({ id }) => id === node.imageId)
      const source = found.images.find(({ sha256 }) => sha256 !== '' && sha256 === here?.sourceSha256)?.path
      return {
        record: recordOfOld(node, ownerOf(node.ownerId), here, now),
        disk: node.disk && { path: node.disk.path, sizeBytes: node.disk.sizeBytes, mtimeMs: node.disk.mtimeMs },
        oldBase: pathOf(node.imageId) ?? source ?? null,
        inPlace: node.inPlace,
      }
    }),
    needBytes: planned.shown.requiredBytes,
  }
}

function ownerOf(id: UserId | null): UserId {
  if (id === null) throw needsOwner()
  return id
}

/** Old state files and dumps as they were, and our own state before. */
async function keepRecords(layout: Layout, found: OldInstallation, now: Date): Promise<string> {
  const backup = join(layout.state, 'migrations', now.toISOString().replaceAll(':', '-'))
  await mkdir(backup, { recursive: true, mode: 0o700 })
  for (const [index, path] of found.records.entries()) await copyFile(path, join(backup, `${index}_${basename(path)}`))
  const before = await textOf(layout.stateFile)
  if (before !== undefined) await writeFileDurably(join(backup, 'state-before.json'), before)
  return backup
}

async function keepPasswords(backup: string, passwords: { login: string; password: string }[]): Promise<void> {
  const lines = passwords.map(({ login, password }) => `${login}\t${password}\n`)
  await writeSecretly(join(backup, 'first-passwords.txt'), backup, lines.join(''))
}

function removableOf(layout: Layout, planned: Planned, folder: string): MigrationReport['removable'] {
  return planned.nodes.flatMap(({ id, disk, inPlace }) =>
    disk ? [{ path: inPlace ? asideFile(layout, folder, id) : disk.path, bytes: disk.usedBytes, nodeId: id }] : [],
  )
}

function requireCount(is: number, expected: number): number {
  if (is === expected) return is
  throw new SandlabError('internal', `After the migration there are ${is} nodes, not ${expected}.`)
}

function nothingDone(plan: MigrationPlan, { nodes }: Present['state']): MigrationReport {
  return {
    plan,
    at: new Date().toISOString(),
    verifiedDisks: 0,
    nodesBefore: nodes.length,
    nodesAfter: nodes.length,
    backup: null,
    passwords: [],
    removable: [],
  }
}

/** Each step once. */
function listen({ onProgress }: Migration, bus: Bus): void {
  let last = ''
  bus.subscribe(({ topic, data }) => {
    const step = topic === 'operations' ? operationSchema.safeParse(data).data?.step : undefined
    if (step === undefined || step === last) return
    last = step
    onProgress?.(step)
  })
}

/** Under the state's lock where there is a state folder. Throws `state_locked` while a backend runs. */
async function whileNobodyWrites<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
  try {
    await realpath(layout.state)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return work()
    throw error
  }
  return offline(layout, work).catch((error: unknown) => {
    if (!isSandlabError(error, 'state_locked')) throw error
    throw new SandlabError('state_locked', `${error.message} A migration needs it alone.`, { hint: error.hint })
  })
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
}

function changed(): SandlabError {
  return new SandlabError('busy', 'The old installation, or this lab, has changed since the plan was shown.', {
    hint: 'Stop the old SandLabX and this one, and run it again. Nothing was touched.',
  })
}

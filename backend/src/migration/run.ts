import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, readdir, realpath } from 'node:fs/promises'
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
import { anyProcedure } from '../transactions/procedure.js'
import { createTransactions } from '../transactions/transactions.js'
import { needsOwner, writeSecretly, type MigrationAccounts } from './accounts.js'
import { asideFile } from './disk-copies.js'
import { findOldInstallation, type OldInstallation } from './find.js'
import { neededFiles } from './image-choice.js'
import { migrateProcedure, type MigrateIntent } from './migrate.js'
import { hashImage } from './old-disks.js'
import { planMigration, type Planned, type Present } from './plan.js'
import { aboutOldImage, recordOfOld } from './records.js'
import { prepareTarget, readTarget, refuseUnfinished, type Target } from './target.js'

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
    const target = await readTarget(layout)
    const { planned } = await look(layout, target, wish, null)
    return planned.shown
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
  const target = await whileNobodyWrites(layout, async () => {
    await refuseUnfinished(layout)
    return readTarget(layout)
  })
  const { planned: shown } = await look(layout, target, wish, null)
  if (shown.shown.token !== wish.token) throw changed()
  const isNothing = shown.nodes.length === 0 && shown.images.length === 0
  if (isNothing && shown.accounts.length === 0) return nothingDone(shown.shown, target, now)
  for (const folder of [layout.images, layout.overlays]) await mkdir(folder, { recursive: true, mode: 0o755 })
  const takeBackState = await prepareTarget(layout, target)
  try {
    return await withLab(migration, (lab) => bringOver(migration, lab, wish, target, now))
  } catch (error) {
    await takeBackState()
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
    await transactions.recover([anyProcedure(migrateProcedure(context))])
    const people = await migration.openAccounts()
    return {
      context,
      transactions,
      accounts: people.accounts,
      cancel: (id: string) => void operations.cancel(id),
      async close() {
        await people.close()
        await closeState()
      },
    }
  } catch (error) {
    await closeState()
    throw error
  }
}

async function bringOver(
  migration: Migration,
  lab: Lab,
  wish: MigrateWish,
  target: Target,
  now: Date,
): Promise<MigrationReport> {
  const { layout } = migration
  const { context, transactions, accounts } = lab
  const before = context.store.data.nodes.length
  const present = { ...target, state: context.store.data }
  const { planned, found } = await look(layout, present, wish, await accounts.list())
  const isDone = planned.nodes.length === 0 && planned.accounts.every(({ action }) => action === 'here')
  if (isDone) return nothingDone(planned.shown, target, now)
  const folder = randomUUID()
  const intent = intentOf(planned, found, context.store.data.images, folder, now)
  const backup = await keepRecords(layout, found, folder, now)
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
    nodesBefore: before,
    nodesAfter: requireCount(context.store.data.nodes.length, before + intent.nodes.length),
    backup,
    passwords: made.passwords,
    removable: removableOf(layout, planned, folder),
  }
  const text = JSON.stringify({ ...report, passwords: [] }, undefined, 2)
  await writeFileDurably(join(backup, 'report.json'), `${text}\n`)
  return report
}

/** What is there now, and what becomes of it. */
async function look(
  layout: Layout,
  target: Pick<Target, 'state'>,
  wish: MigrateWish,
  accounts: Present['accounts'],
): Promise<{ found: OldInstallation; planned: Planned }> {
  const all = await findOldInstallation(layout, wish.from)
  const needed = neededFiles(all.nodes, all.disks)
  const images = []
  for (const image of all.images) images.push(needed.has(image.file) ? await hashImage(image) : image)
  const found = { ...all, images }
  const present: Present = {
    state: target.state,
    accounts,
    overlaysFolder: layout.overlays,
    imageNames: await namesIn(layout.images),
  }
  return { found, planned: planMigration(found, present, wish) }
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
async function keepRecords(layout: Layout, found: OldInstallation, folder: string, now: Date): Promise<string> {
  const backup = join(layout.state, 'migrations', `${now.toISOString().replaceAll(':', '-')}_${folder.slice(0, 8)}`)
  await mkdir(backup, { recursive: true, mode: 0o700 })
  for (const [index, path] of found.records.entries()) await copyFile(path, join(backup, `${index}_${basename(path)}`))
  await copyFile(layout.stateFile, join(backup, 'sandlabx-state-before.json'))
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

function nothingDone(plan: MigrationPlan, target: Target, now: Date): MigrationReport {
  const count = target.state.nodes.length
  return {
    plan,
    at: now.toISOString(),
    verifiedDisks: 0,
    nodesBefore: count,
    nodesAfter: count,
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

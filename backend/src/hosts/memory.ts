import { chmod, chown, lstat, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { overlayFile } from '../domain/layout.js'
import { fsyncDirectory } from '../system/durable-file.js'
import { migrationAnswerSchema } from '../system/qmp-messages.js'
import type { QmpClient } from '../system/qmp.js'
import { EngineError } from './engine.js'
import { copyMemory, diskFull } from './memory-copy.js'
import { memoryHeader } from './memory-header.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'
import { inOverlays, partOf } from './snapshot-files.js'

/** No byte in this time: QEMU, or the host's disk, hangs. */
const STALL_MS = 60_000
/** QEMU's default of 128 MiB/s is meant for networks. */
const BYTES_PER_SECOND = 2 ** 40

/**
 * Writes the memory and the devices of a guest that is held to a new file, durable, mode 0600; its name is there only when
 * it is whole. QEMU may start no program and open no file of ours: it writes to a socket, and a copy of ours from there
 * to the file. The guest can go on afterwards. Rejects with the file system's error or EngineError `no-space`, `engine`,
 * `timeout`; leaves nothing.
 */
export async function saveMemory(context: EngineContext, run: Run, client: QmpClient, file: string): Promise<void> {
  const path = inOverlays(context.layout, file)
  const part = partOf(path)
  const target = await open(part, 'wx', 0o600)
  try {
    await target.writeFile(memoryHeader(run.launch.args)) // what follows is written behind it
    await receive(context, run, client, target)
    await target.sync()
    await rename(part, path)
    await fsyncDirectory(dirname(path))
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw error
  } finally {
    await target.close()
  }
  // QEMU gives its disks away at the end of a migration; from version 10 on a snapshot needs them back before.
  if (client.version.major >= 10) await client.run('blockdev-set-active', { active: true })
}

async function receive(context: EngineContext, run: Run, client: QmpClient, target: FileHandle): Promise<void> {
  const path = join(run.paths.dir, 'memory')
  const server = createServer({ pauseOnConnect: true })
  const far = new AbortController()
  let asked = false
  try {
    await listen(server, path)
    const { uid, gid } = await lstat(overlayFile(context.layout, run.id)) // the user that this QEMU was started as
    if (context.worker) await chown(path, uid, gid)
    await chmod(path, 0o600)
    const written = accepted(server).then((socket) => copyMemory(socket, target.fd, far.signal))
    written.catch(() => undefined) // told below
    await client.run('migrate-set-parameters', { 'max-bandwidth': BYTES_PER_SECOND })
    asked = true
    await client.run('migrate', { uri: `unix:${pathInQemu(context.dataDir, path)}` })
    const sent = untilMigrated(client, context.closed, () => positionOf(target))
    await Promise.race([sent, written.then(() => sent)]).catch(async (error: unknown) => {
      server.close() // who has not come by now does not come
      throw (await isDiskFull(written, error)) ? diskFull() : error
    })
    await within(STALL_MS, written)
  } finally {
    far.abort()
    server.close()
    await rm(path, { force: true })
    // Cut off, QEMU still has to notice: what comes next must find it as it was.
    if (asked) await untilMigrated(client, context.closed, () => positionOf(target)).catch(() => undefined)
  }
}

async function listen(server: Server, path: string): Promise<void> {
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
}

function accepted(server: Server): Promise<Socket> {
  return new Promise((resolve, reject) => {
    server.once('connection', resolve)
    server.once('error', reject)
    server.once('close', () => reject(new EngineError('engine', 'QEMU sent no memory.')))
  })
}

/** Where it is, QEMU may be the first to tell: that nobody listens any more. */
async function isDiskFull(written: Promise<void>, told: unknown): Promise<boolean> {
  if (!(told instanceof EngineError) || told.code !== 'engine') return false
  return within(STALL_MS, written).then(
    () => false,
    (error: unknown) => error instanceof EngineError && error.code === 'no-space',
  )
}

/** Rejects as the work does, or with EngineError `timeout`; the work goes on then. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const over = new AbortController()
  const late = delay(ms, undefined, { signal: over.signal }).then(() => {
    throw new EngineError('timeout', `The host's disk took no more for ${ms / 1000} s.`, { retry: true })
  })
  try {
    await Promise.race([work, late])
  } finally {
    over.abort()
    late.catch(() => undefined)
  }
}

/**
 * Waits until QEMU has sent, or loaded, all of a guest; `position` moves while it does. Rejects with EngineError `engine`,
 * `timeout`, `lost`.
 */
export async function untilMigrated(
  client: QmpClient,
  closed: AbortSignal,
  position: () => Promise<number>,
): Promise<void> {
  let moved = -1
  let movedAt = performance.now()
  for (let looks = 0; !closed.aborted; looks += 1) {
    const answer = await client.execute('query-migrate', migrationAnswerSchema)
    if (answer.status === 'completed') return
    if (answer.status === 'failed' || answer.status === 'cancelled') {
      const why = answer['error-desc'] ?? 'QEMU gave it up'
      throw new EngineError('engine', `The guest's memory could not be moved: ${why}.`)
    }
    const at = await position()
    if (at !== moved) movedAt = performance.now()
    moved = at
    if (performance.now() - movedAt > STALL_MS) {
      await client.run('migrate_cancel').catch(() => undefined)
      throw new EngineError('timeout', "The guest's memory does not move.", { retry: true })
    }
    await delay(looks < 5 ? 2 : 10) // each look costs QEMU and us more than a wait
  }
  throw new EngineError('lost', 'The engine was closed meanwhile.', { retry: true })
}

/** How far a file was read, or written, also by a process that has it from us. */
export async function positionOf(file: FileHandle): Promise<number> {
  const told = await readFile(`/proc/self/fdinfo/${file.fd}`, 'utf8')
  return Number(/^pos:\s*(\d+)/m.exec(told)?.[1] ?? Number.NaN)
}

/** What a backend that was killed may have left under way: a guest that goes on meanwhile would be stopped at its end. */
export async function endSaving(client: QmpClient): Promise<void> {
  const underWay = async () => {
    const { status } = await client.execute('query-migrate', migrationAnswerSchema)
    return !['none', 'completed', 'failed', 'cancelled'].includes(status ?? 'none')
  }
  if (!(await underWay())) return
  await client.run('migrate_cancel')
  const began = performance.now()
  while (await underWay()) {
    if (performance.now() - began > STALL_MS)
      throw new EngineError('timeout', 'QEMU still sends its memory.', { retry: true })
    await delay(10)
  }
}

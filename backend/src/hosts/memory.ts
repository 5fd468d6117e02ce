import { chmod, chown, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { overlayFile } from '../domain/layout.js'
import { fsyncDirectory } from '../system/durable-file.js'
import { migrationAnswerSchema } from '../system/qmp-messages.js'
import type { QmpClient } from '../system/qmp.js'
import { EngineError } from './engine.js'
import { MEMORY_HEADER_BYTES, memoryHeader } from './memory-header.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'
import { inOverlays, partOf } from './snapshot-files.js'

/** No byte in this time: QEMU, or the host's disk, hangs. */
const STALL_MS = 60_000
/** QEMU's default of 128 MiB/s is meant for networks. */
const BYTES_PER_SECOND = 2 ** 40

/**
 * Writes the memory and the devices of a guest that is held to a new file, durable, mode 0600; its name is there only when
 * it is whole. QEMU may start no program and open no file of ours: it writes to a socket, and we to the file. The guest
 * can go on afterwards. Rejects with the file system's error or EngineError `engine`, `timeout`; leaves nothing.
 */
export async function saveMemory(context: EngineContext, run: Run, client: QmpClient, file: string): Promise<void> {
  const path = inOverlays(context.layout, file)
  const part = partOf(path)
  const target = await open(part, 'wx', 0o600)
  try {
    await target.write(memoryHeader(run.launch.args), 0, MEMORY_HEADER_BYTES, 0)
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
  const server = createServer()
  const far = new AbortController()
  let asked = false
  try {
    await listen(server, path)
    const { uid, gid } = await lstat(overlayFile(context.layout, run.id)) // the user that this QEMU was started as
    if (context.worker) await chown(path, uid, gid)
    await chmod(path, 0o600)
    const written = accepted(server).then((socket) => writeAll(socket, target, far.signal))
    written.catch(() => undefined) // told below
    await client.run('migrate-set-parameters', { 'max-bandwidth': BYTES_PER_SECOND })
    asked = true
    await client.run('migrate', { uri: `unix:${pathInQemu(context.dataDir, path)}` })
    await Promise.race([untilMigrated(client, context.closed), written.then(() => new Promise<never>(() => undefined))])
    await written
  } finally {
    far.abort()
    server.close()
    await rm(path, { force: true })
    // Cut off, QEMU still has to notice: what comes next must find it as it was.
    if (asked) await untilMigrated(client, context.closed).catch(() => undefined)
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

async function writeAll(socket: Socket, target: FileHandle, far: AbortSignal): Promise<void> {
  const hangUp = () => socket.destroy()
  far.addEventListener('abort', hangUp)
  socket.setTimeout(STALL_MS, () =>
    socket.destroy(new EngineError('timeout', `No memory came from QEMU for ${STALL_MS / 1000} s.`, { retry: true })),
  )
  let at = MEMORY_HEADER_BYTES
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      await target.write(chunk, 0, chunk.length, at)
      at += chunk.length
    }
  } finally {
    far.removeEventListener('abort', hangUp)
    socket.destroy()
  }
}

/** Waits until QEMU has sent, or loaded, all of a guest. Rejects with EngineError `engine`, `timeout`, `lost`. */
export async function untilMigrated(client: QmpClient, closed: AbortSignal): Promise<void> {
  let moved = -1
  let movedAt = performance.now()
  for (let looks = 0; !closed.aborted; looks += 1) {
    const answer = await client.execute('query-migrate', migrationAnswerSchema)
    if (answer.status === 'completed') return
    if (answer.status === 'failed' || answer.status === 'cancelled') {
      const why = answer['error-desc'] ?? 'QEMU gave it up'
      throw new EngineError('engine', `The guest's memory could not be moved: ${why}.`)
    }
    const bytes = answer.ram?.transferred ?? 0
    if (bytes !== moved) movedAt = performance.now()
    moved = bytes
    if (performance.now() - movedAt > STALL_MS) {
      await client.run('migrate_cancel').catch(() => undefined)
      throw new EngineError('timeout', "The guest's memory does not move.", { retry: true })
    }
    await delay(looks < 100 ? 2 : 20)
  }
  throw new EngineError('lost', 'The engine was closed meanwhile.', { retry: true })
}

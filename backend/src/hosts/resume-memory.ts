import { open, rm, type FileHandle } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { QmpClient } from '../system/qmp.js'
import { EngineError, type NodeSpec } from './engine.js'
import { engineErrorOf } from './jobs.js'
import { copyMemory } from './memory-copy.js'
import { positionOf, untilMigrated } from './memory.js'
import { MEMORY_HEADER_BYTES, memoryMisfit } from './memory-header.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'
import { inOverlays } from './snapshot-files.js'

/** A copy whose other end is gone ends by that. */
const COPY_NOTICES_MS = 1000

/** Before QEMU is started: throws EngineError `bad-memory` when the saved memory is missing or is of another machine. */
export async function requireFittingMemory(context: EngineContext, spec: NodeSpec, args: string[]): Promise<void> {
  if (!spec.resume) return
  const file = await openMemory(context, spec.resume.memoryFile)
  try {
    const header = Buffer.alloc(MEMORY_HEADER_BYTES)
    await file.read(header, 0, header.length, 0)
    const misfit = memoryMisfit(header, args)
    if (misfit !== undefined) throw badMemory(misfit)
  } finally {
    await file.close()
  }
}

/**
 * Gives a guest that was started with `-incoming defer` its memory; it is then as it was, and held. Throws EngineError
 * `bad-memory`; QEMU has ended or must be ended then, the guest has not run.
 */
export async function loadMemory(
  context: EngineContext,
  run: Run,
  client: QmpClient,
  memoryFile: string,
): Promise<void> {
  const path = join(run.paths.io, 'memory')
  const file = await openMemory(context, memoryFile)
  const far = new AbortController()
  let sent = Promise.resolve()
  try {
    await file.read(Buffer.alloc(MEMORY_HEADER_BYTES), 0, MEMORY_HEADER_BYTES) // the copy begins behind it
    await client.run('migrate-incoming', { uri: `unix:${pathInQemu(context.dataDir, path)}` })
    sent = copyMemory(file.fd, await connected(path), far.signal)
    sent.catch(() => undefined) // QEMU's own word says more
    await untilMigrated(client, context.closed, () => positionOf(file))
    await sent
  } catch (error) {
    const failure = await blame(engineErrorOf(error), sent)
    if (failure.retry) throw failure // the engine was closed, or the host's disk hangs: nothing is known of the memory
    throw badMemory(failure.message, error)
  } finally {
    far.abort()
    await file.close()
    await rm(path, { force: true })
  }
}

/** What is cut short because its copy was killed, or never began, is no bad memory. QEMU is the first to notice. */
async function blame(failure: EngineError, sent: Promise<void>): Promise<EngineError> {
  const copy = await Promise.race([sent.then(() => failure, engineErrorOf), delay(COPY_NOTICES_MS, failure)])
  return copy.retry ? copy : failure
}

/** Nothing is read of it. */
function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path).pause()
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

async function openMemory(context: EngineContext, memoryFile: string): Promise<FileHandle> {
  return open(inOverlays(context.layout, memoryFile), 'r').catch((cause: unknown) => {
    throw badMemory('The file is missing.', cause)
  })
}

export function badMemory(why: string, cause?: unknown): EngineError {
  return new EngineError('bad-memory', `It can't go on from its saved memory. ${why}`, { cause })
}

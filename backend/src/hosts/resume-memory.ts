import { open, rm, type FileHandle } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { QmpClient } from '../system/qmp.js'
import { EngineError, type NodeSpec } from './engine.js'
import { engineErrorOf } from './jobs.js'
import { untilMigrated } from './memory.js'
import { MEMORY_HEADER_BYTES, memoryMisfit } from './memory-header.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'
import { inOverlays } from './snapshot-files.js'

/** Before QEMU is started: throws EngineError `unsupported` when the saved memory is missing or is of another machine. */
export async function requireFittingMemory(context: EngineContext, spec: NodeSpec, args: string[]): Promise<void> {
  if (!spec.resume) return
  const file = await openMemory(context, spec.resume.memoryFile)
  try {
    const header = Buffer.alloc(MEMORY_HEADER_BYTES)
    await file.read(header, 0, header.length, 0)
    const misfit = memoryMisfit(header, args)
    if (misfit !== undefined) throw unsupported(misfit)
  } finally {
    await file.close()
  }
}

/**
 * Gives a guest that was started with `-incoming defer` its memory; it is then as it was, and held. Throws EngineError
 * `unsupported`; QEMU has ended or must be ended then, the guest has not run.
 */
export async function loadMemory(
  context: EngineContext,
  run: Run,
  client: QmpClient,
  memoryFile: string,
): Promise<void> {
  const path = join(run.paths.io, 'memory')
  const file = await openMemory(context, memoryFile)
  try {
    await client.run('migrate-incoming', { uri: `unix:${pathInQemu(context.dataDir, path)}` })
    const sent = pipeline(file.createReadStream({ start: MEMORY_HEADER_BYTES, autoClose: false }), connect(path))
    sent.catch(() => undefined) // QEMU's own word says more
    await untilMigrated(client, context.closed)
    await sent
  } catch (error) {
    throw unsupported(engineErrorOf(error).message, error)
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}

async function openMemory(context: EngineContext, memoryFile: string): Promise<FileHandle> {
  return open(inOverlays(context.layout, memoryFile), 'r').catch((cause: unknown) => {
    throw unsupported('The file is missing.', cause)
  })
}

export function unsupported(why: string, cause?: unknown): EngineError {
  return new EngineError('unsupported', `It can't go on from its saved memory. ${why}`, { cause })
}

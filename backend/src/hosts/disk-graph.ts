import { setTimeout as delay } from 'node:timers/promises'
import { jobsAnswerSchema } from '../system/qmp-messages.js'
import type { QmpClient } from '../system/qmp.js'
import { freshLayer } from './block-devices.js'
import { activeNode, isOverNode, liveNode, nodeNames } from './block-names.js'
import { EngineError } from './engine.js'

const ROOT = 'root'
const JOB = 'take-back'

/** Each of these flushes; on a busy disk that takes a while. */
export const FLUSH_TIMEOUT_MS = 15_000
/** A copy that has not come one byte further in this time is given up; nothing is lost by that. */
const STALL_MS = 60_000

/** The root disk of a running guest: its overlay, and the layer that is put over it while it is frozen. */
export interface RootGraph {
  /** What the guest writes to now. */
  now: 'overlay' | 'layer'
  overlay: string
  layer: string
}

export async function rootGraph(client: QmpClient): Promise<RootGraph> {
  const node = await activeNode(client, ROOT)
  if (node === ROOT || isOverNode(node)) return { now: 'overlay', overlay: node, layer: liveNode(node) }
  // By name, not by asking for the graph: the layer's name follows from its overlay's.
  const overlay = [ROOT, ...(await nodeNames(client))].find((name) => liveNode(name) === node)
  if (overlay !== undefined) return { now: 'layer', overlay, layer: node }
  throw new EngineError('engine', `QEMU's root disk is ${node}: not what it was started with.`)
}

/** Where the guest writes to now. */
export async function writesTo(client: QmpClient): Promise<RootGraph['now']> {
  return (await rootGraph(client)).now
}

/**
 * Puts an empty qcow2 over the overlay of a running guest: from the answer on all writes go there. On failure the graph
 * is as before.
 */
export async function putLayer(client: QmpClient, fileInQemu: string): Promise<void> {
  const { overlay, layer } = await rootGraph(client)
  await client.run('blockdev-add', freshLayer(layer, fileInQemu), FLUSH_TIMEOUT_MS)
  try {
    await client.run('blockdev-snapshot', { node: overlay, overlay: layer }, FLUSH_TIMEOUT_MS)
  } catch (error) {
    await client.run('blockdev-del', { 'node-name': layer }).catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/**
 * Copies the layer's content into the overlay while the guest goes on; resolves when the two are equal but for what is
 * being written. A copy that an earlier backend began is gone on with.
 */
export async function copyBack(client: QmpClient, closed: AbortSignal): Promise<void> {
  if (!(await jobOf(client))) {
    const { overlay, layer } = await rootGraph(client)
    await client.run('block-commit', {
      'job-id': JOB,
      device: layer,
      'base-node': overlay,
      'auto-finalize': true,
      'auto-dismiss': false,
    })
  }
  await untilJob(client, closed, ['ready'])
}

/** The rest of the copy, then the guest writes to the overlay again. Hold the guest around it. */
export async function returnToOverlay(client: QmpClient, closed: AbortSignal): Promise<void> {
  await client.run('job-complete', { id: JOB }, FLUSH_TIMEOUT_MS)
  await untilJob(client, closed, ['concluded'])
  await client.run('job-dismiss', { id: JOB })
}

/** Closes the layer's file once nothing uses it. */
export async function dropLayer(client: QmpClient): Promise<void> {
  const { layer } = await rootGraph(client)
  if ((await nodeNames(client)).has(layer)) await client.run('blockdev-del', { 'node-name': layer })
}

export async function holdGuest(client: QmpClient): Promise<void> {
  await client.run('stop', undefined, FLUSH_TIMEOUT_MS)
}

async function jobOf(client: QmpClient) {
  const jobs = await client.execute('query-jobs', jobsAnswerSchema)
  return jobs.find((job) => job.id === JOB)
}

/** Waits for a status; a job that failed or is gone rejects, and is dismissed. */
async function untilJob(client: QmpClient, closed: AbortSignal, wanted: string[]): Promise<void> {
  let progress = -1
  let movedAt = performance.now()
  for (let looks = 0; !closed.aborted; looks += 1) {
    const job = await jobOf(client)
    if (!job) throw new EngineError('engine', 'QEMU has given up taking the newest writes back.', { retry: true })
    if (job.error !== undefined) {
      await client.run('job-dismiss', { id: JOB }).catch(() => undefined)
      throw copyFailure(job.error)
    }
    if (wanted.includes(job.status)) return
    if (job['current-progress'] !== progress) movedAt = performance.now()
    progress = job['current-progress']
    if (performance.now() - movedAt > STALL_MS) {
      await client.run('job-cancel', { id: JOB }).catch(() => undefined)
      throw new EngineError('timeout', "The disk takes none of the guest's newest writes back.", { retry: true })
    }
    await delay(looks < 100 ? 2 : 25)
  }
  throw new EngineError('lost', 'The engine was closed meanwhile.', { retry: true })
}

function copyFailure(said: string): EngineError {
  const full = /No space left|Disk quota/.test(said)
  return new EngineError(full ? 'no-space' : 'engine', `The newest writes could not be taken back yet: ${said}.`, {
    retry: true,
  })
}

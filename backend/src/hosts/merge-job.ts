import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { readQcow2Header } from '../system/qcow2.js'
import { jobsAnswerSchema } from '../system/qmp-messages.js'
import type { QmpClient } from '../system/qmp.js'
import { activeNode, chainOfBlockdev, isOverNode, nodeNames, shortHash, startedWith } from './block-names.js'
import { FLUSH_TIMEOUT_MS } from './disk-graph.js'
import { forgetNode, nodeOfFile, pathOfNode } from './disk-names.js'
import { EngineError } from './engine.js'
import type { MergeRequest } from './engine-disks.js'
import type { EngineContext, Run } from './run.js'

/** Merges are QEMU's `block-stream` jobs, whose names follow from who asked. */
const PREFIX = 'merge-'

export type MergeJob = z.infer<typeof jobsAnswerSchema>[number]

export function mergeJobOf({ key, driveId }: Pick<MergeRequest, 'key' | 'driveId'>): string {
  return `${PREFIX}${shortHash(`${key} ${driveId}`)}`
}

export async function mergeJobs(client: QmpClient): Promise<MergeJob[]> {
  return (await client.execute('query-jobs', jobsAnswerSchema)).filter(({ id }) => id.startsWith(PREFIX))
}

/** Ends merges that an earlier backend began and nobody waits for, but for one. Resolves when QEMU has none of them. */
export async function cancelMerges(client: QmpClient, except?: string): Promise<void> {
  for (;;) {
    const jobs = (await mergeJobs(client)).filter(({ id }) => id !== except)
    if (jobs.length === 0) return
    for (const { id, status } of jobs) {
      if (status === 'concluded') await client.run('job-dismiss', { id })
      else if (status !== 'aborting') await client.run('job-cancel', { id })
    }
    await delay(5)
  }
}

/** Where the drive's disk is, for us. */
export async function diskPath(context: EngineContext, run: Run, client: QmpClient, driveId: string): Promise<string> {
  const atStart = startedWith(run.launch.args, driveId).file.filename
  return pathOfNode(context.layout, run.paths, await activeNode(client, driveId), atStart)
}

/** Whether the drive's disk names it as what it stands on: it is merged already. */
export async function standsOn(
  context: EngineContext,
  run: Run,
  client: QmpClient,
  { driveId, onto }: MergeRequest,
): Promise<boolean> {
  return (await readQcow2Header(await diskPath(context, run, client, driveId))).backingFile === onto
}

/**
 * Begins to copy up. The disk's header is changed by QEMU itself when all is copied, and not before `finalizeMerge`.
 * Throws EngineError `not-found` when the disk does not stand on `onto`.
 */
export async function startMerge(
  run: Run,
  client: QmpClient,
  job: string,
  { driveId, onto }: MergeRequest,
): Promise<void> {
  const base = onto === null ? {} : { 'base-node': await nodeOf(run, driveId, onto), 'backing-file': onto }
  await client.run(
    'block-stream',
    {
      'job-id': job,
      device: await activeNode(client, driveId),
      ...base,
      'auto-finalize': false,
      'auto-dismiss': false,
    },
    FLUSH_TIMEOUT_MS,
  )
}

/**
 * What was copied goes to the host's disk first: QEMU keeps tables in its memory that only a flush writes. A header that
 * no longer names the layers must not be there before them.
 */
export async function finalizeMerge(client: QmpClient, job: string, driveId: string): Promise<void> {
  const node = await activeNode(client, driveId)
  const flush = { 'command-line': `qemu-io ${node} flush` }
  const said = await client.execute('human-monitor-command', z.string(), flush, FLUSH_TIMEOUT_MS)
  if (said.trim() !== '') {
    await client.run('job-cancel', { id: job })
    throw new EngineError('engine', `Its disk could not be written out: ${said.trim()}.`, { retry: true })
  }
  await client.run('job-finalize', { id: job }, FLUSH_TIMEOUT_MS)
}

/** Closes the files of layers that nothing stands on any more. */
export async function dropMerged(run: Run, client: QmpClient, driveId: string): Promise<void> {
  const active = await activeNode(client, driveId)
  const first = startedWith(run.launch.args, driveId)['node-name']
  for (const node of await nodeNames(client)) {
    if (node === active || !(node === first || isOverNode(node))) continue
    const dropped = await client.run('blockdev-del', { 'node-name': node }).then(
      () => true,
      () => false, // in use: still below, or another drive's
    )
    if (dropped) await forgetNode(run.paths, node)
  }
}

async function nodeOf(run: Run, driveId: string, onto: string): Promise<string> {
  const newer = await nodeOfFile(run.paths, onto)
  if (newer !== undefined) return newer
  const [, ...below] = chainOfBlockdev(startedWith(run.launch.args, driveId))
  const name = (path: string) => path.split('/').at(-1)
  const older = below.find(({ file }) => name(file.filename) === name(onto))
  if (older) return older['node-name']
  throw new EngineError('not-found', `Its disk does not stand on ${onto}.`)
}

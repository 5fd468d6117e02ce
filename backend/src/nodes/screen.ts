import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { NodeId } from '../domain/ids.js'
import { lastScreenFile } from '../domain/layout.js'
import { nodeRefuses } from '../domain/node.js'
import { recordOf, viewNode, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'

/** A page of 30 thumbnails, open in ten browsers, asks QEMU for each screen once in this time. */
const FRESH_MS = 3000

/** The screen as PNG; the same picture for everybody who asks within a few seconds. */
export async function screenshotOf(context: NodesContext, id: string): Promise<Buffer> {
  const record = recordOf(context, id)
  const refusal = nodeRefuses('console', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('console_not_available', `${record.name}: ${refusal}`)
  const file = lastScreenFile(context.layout, record.id)
  const kept = await stat(file).catch(() => undefined)
  if (kept && context.now().getTime() - kept.mtimeMs < FRESH_MS) return readFile(file)
  const picture = await context.engine.screenshot(record.id).catch((error: unknown) => {
    throw engineFailure(error, `Could not take a picture of ${record.name}'s screen`)
  })
  await keep(context, record.id, picture)
  return picture
}

/** The last picture that was taken, also of a stopped node. Throws `not_found` when there is none. */
export async function lastScreenOf(context: NodesContext, id: string): Promise<Buffer> {
  const record = recordOf(context, id)
  return readFile(lastScreenFile(context.layout, record.id)).catch((error: unknown) => {
    throw new SandlabError('not_found', `No picture of ${record.name}'s screen has been taken yet.`, { cause: error })
  })
}

/** Before a stop: what the stopped node's console shows. A screen that can't be read is no reason not to stop. */
export async function keepLastScreen(context: NodesContext, id: NodeId): Promise<void> {
  try {
    await keep(context, id, await context.engine.screenshot(id))
  } catch (error) {
    context.log.debug({ err: error, nodeId: id }, 'no last screen')
  }
}

export async function forgetScreen(context: NodesContext, id: NodeId): Promise<void> {
  await rm(lastScreenFile(context.layout, id), { force: true })
}

async function keep(context: NodesContext, id: NodeId, picture: Buffer): Promise<void> {
  const file = lastScreenFile(context.layout, id)
  await mkdir(`${context.layout.state}/screens`, { recursive: true })
  const staged = `${file}.${randomUUID()}.tmp` // two may be taken at once
  try {
    await writeFile(staged, picture, { mode: 0o600 })
    await rename(staged, file)
  } finally {
    await rm(staged, { force: true })
  }
}

import { randomUUID } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { operationSchema, type Operation } from '../domain/operation.js'
import { operationPlanSchema, type OperationPlan } from '../domain/plan.js'
import {
  filesOfTransfer,
  transferSchema,
  type BeginTransfer,
  type Transfer,
  type TransferFile,
} from '../domain/transfer.js'
import { MIB } from '../domain/units.js'
import type { OperationHandle } from '../transactions/operations.js'
import { refusalFrom } from './remote-refusal.js'
import type { Remote } from './remote.js'

const TUS = { 'tus-resumable': '1.0.0' }
const CHUNK_BYTES = 8 * MIB
const ASK_EVERY_MS = 500
/** An operation there that a restart has taken back is begun anew, so many times. */
const COMMITS = 3

/** What the other side would make of it, without doing it. */
export async function planTransfer(remote: Remote, request: BeginTransfer): Promise<OperationPlan> {
  const answer = z.object({ plan: operationPlanSchema })
  return (await remote.ask(answer, { method: 'POST', path: '/api/transfers?dryRun=true', body: request })).plan
}

/**
 * Sends the files of a transfer, going on with what the other side has already, commits it once and waits until it is
 * made. The same request again goes on, or finds it made. Throws `remote_failed`, and what the other side refuses.
 */
export async function sendTransfer(
  remote: Remote,
  request: BeginTransfer,
  paths: Partial<Record<TransferFile, string>>,
  op: OperationHandle,
): Promise<Operation> {
  for (let left = COMMITS; ; left -= 1) {
    const transfer = await begin(remote, request)
    const operationId = transfer.operationId ?? (await uploadAndCommit(remote, request, transfer, paths, op))
    op.step(`Waiting for ${remote.host}`)
    const made = await waitFor(remote, operationId, op)
    if (made.state === 'succeeded' || made.outcome === 'committed') return made
    const isTakenBack = made.state === 'lost'
    if (!isTakenBack || left === 1) {
      throw refusalFrom(remote.host, made.error ?? { code: 'internal', message: `${made.title}: it ${made.state}.` })
    }
    op.log(`${remote.host} was restarted in the middle of it; once more.`)
  }
}

/** Makes the other side forget it, or stop making it. */
export async function forgetTransfer(remote: Remote, request: BeginTransfer): Promise<void> {
  const { id, operationId } = await begin(remote, request)
  if (operationId === null) await remote.once({ method: 'DELETE', path: `/api/transfers/${id}` })
  else await remote.once({ method: 'POST', path: `/api/operations/${operationId}/cancel`, body: {} })
}

async function begin(remote: Remote, request: BeginTransfer): Promise<Transfer> {
  const answer = z.object({ transfer: transferSchema })
  return (await remote.ask(answer, { method: 'POST', path: '/api/transfers', body: request })).transfer
}

async function uploadAndCommit(
  remote: Remote,
  request: BeginTransfer,
  transfer: Transfer,
  paths: Partial<Record<TransferFile, string>>,
  op: OperationHandle,
): Promise<string> {
  for (const { name, sizeBytes } of filesOfTransfer(request)) {
    const there = transfer.files.find((file) => file.name === name)
    const path = paths[name]
    if (path === undefined) throw new Error(`no file for the ${name} of a transfer`)
    const file = await open(path, 'r')
    try {
      const uploadId = there?.uploadId ?? (await newUpload(remote, transfer.id, name, sizeBytes))
      await upload(remote, { file, uploadId, sizeBytes, offset: there?.offset ?? 0 }, op)
    } finally {
      await file.close()
    }
  }
  const { operation } = await remote.ask(z.object({ operation: operationSchema }), {
    method: 'POST',
    path: `/api/transfers/${transfer.id}/commit`,
    // The transfer itself is committed once; a later try after a failure must not be answered with the old failure.
    headers: { 'idempotency-key': `${transfer.id}.${randomUUID()}` },
    body: {},
  })
  return operation.id
}

/** The other side replaces an upload whose answer was lost, so asking again leaves nothing. */
async function newUpload(remote: Remote, transferId: string, name: TransferFile, sizeBytes: number): Promise<string> {
  const encode = (text: string) => Buffer.from(text).toString('base64')
  const { headers } = await remote.patiently(() =>
    remote.once({
      method: 'POST',
      path: '/api/uploads',
      headers: {
        ...TUS,
        'upload-length': String(sizeBytes),
        'upload-metadata': `transfer ${encode(transferId)},file ${encode(name)}`,
        'content-length': '0',
      },
    }),
  )
  const id = /\/([0-9a-f]{32})$/.exec(headers.location ?? '')?.[1]
  if (id !== undefined) return id
  throw new SandlabError('remote_failed', `${remote.host} did not say where to send the file.`)
}

interface Sending {
  file: FileHandle
  uploadId: string
  sizeBytes: number
  /** What the other side has. */
  offset: number
}

async function upload(remote: Remote, sending: Sending, op: OperationHandle): Promise<void> {
  const { file, sizeBytes } = sending
  const path = `/api/uploads/${sending.uploadId}`
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, sizeBytes))
  let offset = sending.offset
  let isKnown = true
  while (offset < sizeBytes) {
    op.bytes(offset, sizeBytes)
    offset = await remote.patiently(async () => {
      // After a lost connection only the other side knows how much has arrived.
      if (!isKnown) offset = offsetOf(remote, await remote.once({ method: 'HEAD', path, headers: TUS }), sizeBytes)
      isKnown = false
      if (offset === sizeBytes) return offset
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, sizeBytes - offset), offset)
      if (bytesRead === 0) throw new Error('the file became shorter while it was sent')
      const answer = await remote.once({
        method: 'PATCH',
        path,
        headers: { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' },
        body: chunk.subarray(0, bytesRead),
      })
      return offsetOf(remote, answer, sizeBytes)
    })
    isKnown = true
  }
  op.bytes(sizeBytes, sizeBytes)
}

function offsetOf({ host }: Remote, { headers }: { headers: Record<string, unknown> }, sizeBytes: number): number {
  const offset = Number(headers['upload-offset'] ?? Number.NaN)
  if (Number.isSafeInteger(offset) && offset >= 0 && offset <= sizeBytes) return offset
  throw new SandlabError('remote_failed', `${host} did not say how much of the file it has.`)
}

async function waitFor(remote: Remote, operationId: string, op: OperationHandle): Promise<Operation> {
  const answer = z.object({ operation: operationSchema })
  for (;;) {
    const { operation } = await remote.ask(answer, { method: 'GET', path: `/api/operations/${operationId}` })
    if (operation.state !== 'running') return operation
    op.bytes(operation.bytesDone ?? 0, operation.bytesTotal)
    await pause(ASK_EVERY_MS, undefined, { signal: op.signal })
  }
}

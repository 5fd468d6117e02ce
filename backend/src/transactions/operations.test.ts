import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { layoutOf } from '../domain/layout.js'
import { operationSchema, type Operation } from '../domain/operation.js'
import { createBus } from '../events/bus.js'
import { openStore, type Store } from '../state/store.js'
import { createLog } from '../system/log.js'
import { operationRecord } from '../../test/state/fixtures/records.js'
import { createOperations, type OperationHandle } from './operations.js'

const log = createLog('silent')
const about = {
  kind: 'image.build',
  title: 'Build tiny',
  actor: { id: null, login: 'ada' },
  target: { type: 'image', id: 'tiny' },
  cancellable: true,
} as const

// Real files and processes on a machine that may be busy.
jest.setTimeout(30_000)

let dataDir: string
let store: Store
let published: Operation[]
const bus = createBus()
bus.subscribe((event) => void (event.topic === 'operations' && published.push(operationSchema.parse(event.data))))

beforeEach(async () => {
  published = []
  dataDir = await mkdtemp(join(tmpdir(), 'operations-'))
  store = (await openStore({ layout: layoutOf(dataDir), log })).store
})
afterEach(async () => {
  await store.close()
  await rm(dataDir, { recursive: true })
})

const create = () => createOperations({ store, bus, log })

/** Work that goes on until it is told to end. */
function endless(op: OperationHandle): Promise<never> {
  return new Promise((_, reject) =>
    op.signal.addEventListener('abort', () => reject(new Error('stopped by its signal')), { once: true }),
  )
}

describe('createOperations', () => {
  it('keeps an operation from its start to its end, in memory and in the state', async () => {
    const operations = create()
    const { operation, result } = operations.start(about, async (op) => {
      op.step('Downloading', 0.25)
      op.bytes(5, 20)
      op.log('a line')
      return 'image'
    })
    expect(operation).toMatchObject({ state: 'running', title: 'Build tiny', endedAt: null })
    expect(await result).toBe('image')
    const ended = operations.get(operation.id)
    expect(ended).toMatchObject({ state: 'succeeded', progress: 1, step: 'Downloading', bytesDone: 5, bytesTotal: 20 })
    expect(ended?.log.map((line) => line.text)).toEqual(['Downloading', 'a line'])
    await operations.close()
    expect(store.data.operations).toEqual([ended])
    expect(published[0]?.state).toBe('running')
    expect(published.at(-1)).toEqual(ended)
  })

  it('keeps why an operation failed, and rejects without anybody listening', async () => {
    const operations = create()
    const expected = operations.start(about, () =>
      Promise.reject(new SandlabError('no_space', 'The disk is full.', { hint: 'Make room.' })),
    )
    const unexpected = operations.start(about, () => {
      throw new Error('secret detail')
    })
    await expect(expected.result).rejects.toMatchObject({ code: 'no_space' })
    await operations.close() // `unexpected.result` is never looked at: an unhandled rejection would end the run
    expect(operations.get(expected.operation.id)).toMatchObject({
      state: 'failed',
      error: { code: 'no_space', message: 'The disk is full.', hint: 'Make room.' },
    })
    const error = operations.get(unexpected.operation.id)?.error
    expect(error?.code).toBe('internal')
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('cancels what can be cancelled, and only that', async () => {
    const operations = create()
    const { operation, result } = operations.start(about, endless)
    const fixed = operations.start({ ...about, cancellable: false }, endless)
    await new Promise((resolve) => setImmediate(resolve)) // both are under way
    expect(() => operations.cancel(fixed.operation.id)).toThrow(/can't be cancelled/)
    expect(() => operations.cancel('no such id')).toThrow(expect.objectContaining({ code: 'not_found' }))
    expect(operations.cancel(operation.id)).toMatchObject({ step: 'Cancelling', cancellable: false })
    await expect(result).rejects.toMatchObject({ code: 'cancelled' })
    expect(operations.get(operation.id)).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } })
    expect(() => operations.cancel(operation.id)).toThrow(/has ended/)
    await operations.close()
  })

  it('cancels what runs when it closes, and starts nothing more', async () => {
    const operations = create()
    const { operation } = operations.start(about, endless)
    await operations.close()
    expect(store.data.operations).toMatchObject([{ id: operation.id, state: 'cancelled' }])
    expect(() => operations.start(about, async () => 1)).toThrow(expect.objectContaining({ code: 'starting_up' }))
  })

  it('shows as lost what a backend left running, and as done what had committed', async () => {
    await store.change((draft) => {
      draft.operations.push(
        operationRecord(1, { state: 'running', endedAt: null }),
        operationRecord(2),
        operationRecord(3, { state: 'running', outcome: 'committed', endedAt: null }),
      )
    })
    const operations = create()
    operations.settle()
    expect(operations.list().map((one) => one.state)).toEqual(['succeeded', 'succeeded', 'lost'])
    await operations.close()
    expect(store.data.operations.find((one) => one.state === 'lost')?.error?.message).toContain('SandLabX ended')
  })

  it('keeps the newest thousand and every running one', async () => {
    await store.change(
      (draft) => void draft.operations.push(...Array.from({ length: 1000 }, (_, i) => operationRecord(i))),
    )
    const operations = create()
    const first = operations.start(about, endless)
    await Promise.all(Array.from({ length: 210 }, () => operations.start(about, async () => 1).result))
    const listed = operations.list()
    expect(listed.length).toBeLessThanOrEqual(1100)
    expect(listed.length).toBeGreaterThanOrEqual(1000)
    expect(listed.map((one) => one.id)).toContain(first.operation.id)
    expect(listed[0]?.state).toBe('succeeded')
    await operations.close()
    expect(store.data.operations.length).toBeLessThanOrEqual(1100)
  })

  it('publishes the first and the last of a thousand steps, and few between', async () => {
    const operations = create()
    const { result } = operations.start(about, async (op) => {
      for (let i = 0; i < 1000; i += 1) op.step(`step ${i}`, i / 1000)
    })
    await result
    await operations.close()
    expect(published.length).toBeLessThan(8)
    expect(published.at(-1)).toMatchObject({ state: 'succeeded', step: 'step 999' })
    expect(published.at(-1)?.log).toHaveLength(40)
  })

  it('ignores words from work that was given up', async () => {
    const operations = create()
    let late: OperationHandle | undefined
    const { operation, result } = operations.start(about, async (op) => void (late = op))
    await result
    late?.step('still here', 0.1)
    expect(operations.get(operation.id)).toMatchObject({ state: 'succeeded', progress: 1 })
    await operations.close()
  })
})

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { journalDir, layoutOf } from '../domain/layout.js'
import { createBus } from '../events/bus.js'
import { openStore, type Store } from '../state/store.js'
import { createLog } from '../system/log.js'
import { createOperations, type Operations } from './operations.js'
import { anyProcedure, type Procedure } from './procedure.js'
import { createTransactions, type Transactions } from './transactions.js'

// Real files on a machine that may be busy.
jest.setTimeout(30_000)

const log = createLog('silent')
const intentSchema = z.object({ name: z.string() })
type Intent = z.infer<typeof intentSchema>

let dataDir: string
let store: Store
let operations: Operations
let transactions: Transactions
/** What happened, in order. */
let done: string[]

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'transactions-'))
  done = []
  await boot()
})
afterEach(async () => {
  await operations.close()
  await store.close()
  await rm(dataDir, { recursive: true })
})

/** As a backend starts: on what is in the folder. */
async function boot(): Promise<void> {
  const layout = layoutOf(dataDir)
  store = (await openStore({ layout, log })).store
  operations = createOperations({ store, bus: createBus(), log })
  transactions = await createTransactions({ layout, store, operations, log })
}

/** As one is killed: what it had begun is never heard of again. */
async function kill(): Promise<void> {
  await store.close()
}

const fileOf = ({ name }: Intent) => join(dataDir, name)

/** Makes a file, then `change`s the state, then writes a second file. */
function fileProcedure(overrides: Partial<Procedure<Intent>> = {}): Procedure<Intent> {
  return {
    kind: 'node.create',
    intent: intentSchema,
    resources: (intent) => [{ type: 'disk', id: fileOf(intent) }],
    steps: [
      {
        title: 'Making a file',
        async do(intent) {
          done.push('do')
          await writeFile(fileOf(intent), 'made')
        },
        async undo(intent) {
          done.push('undo')
          await rm(fileOf(intent), { force: true })
        },
      },
    ],
    commit: () => void done.push('commit'),
    after: [{ title: 'Finishing', do: async (intent) => void done.push(`after ${intent.name}`) }],
    ...overrides,
  }
}

const about = {
  title: 'Make a file',
  actor: { id: 'u1', login: 'ada' },
  target: null,
  cancellable: true,
} as const

const journalNames = () => readdir(journalDir(layoutOf(dataDir)))
const run = (procedure: Procedure<Intent>, extra: object = {}) =>
  transactions.run(procedure, { name: 'a' }, { ...about, ...extra })
const forever = () => new Promise<never>(() => undefined)
const refuse = () => {
  throw new SandlabError('name_taken', 'A node named a already exists.')
}

/** A disk that is full for so many tries. */
function refusing(times: number) {
  let left = times
  return {
    title: 'Finishing',
    async do() {
      left -= 1
      done.push(left < 0 ? 'finished' : 'refused')
      if (left >= 0) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
    },
  }
}

describe('a transaction', () => {
  it('writes its intent before its first effect, and removes it when all is done', async () => {
    const seen: string[][] = []
    const look = { title: 'Looking', do: async () => void seen.push(await journalNames()) }
    const { operation, result } = run(fileProcedure({ steps: [look, ...fileProcedure().steps] }))
    await result
    expect(seen).toEqual([[`000000000001-${operation.id}.json`]])
    expect(done).toEqual(['do', 'commit', 'after a'])
    expect(await journalNames()).toEqual([])
    expect(operations.get(operation.id)).toMatchObject({
      state: 'succeeded',
      outcome: 'committed',
      resources: [{ type: 'disk', id: fileOf({ name: 'a' }) }],
    })
  })

  it('is in the state, committed, in the very change that makes it true', async () => {
    const { operation, result } = run(fileProcedure({ after: [] }))
    const before = store.revision
    await result
    expect(store.revision).toBe(before + 1)
    expect(store.data.operations).toMatchObject([{ id: operation.id, state: 'succeeded', outcome: 'committed' }])
  })

  it.each([
    ['ENOSPC', 'no_space'],
    ['EIO', 'state_io'],
  ] as const)('answers %s of any step as %s, in words for people', async (errno, code) => {
    const fails = { title: 'Failing', do: () => Promise.reject(Object.assign(new Error(errno), { code: errno })) }
    const { operation, result } = run(fileProcedure({ steps: [...fileProcedure().steps, fails] }))
    await expect(result).rejects.toMatchObject({ code, message: expect.stringContaining('Could not make a file: ') })
    expect(done).toEqual(['do', 'undo'])
    expect(operations.get(operation.id)).toMatchObject({ outcome: 'rolled-back', error: { code } })
  })

  it.each<[string, Partial<Procedure<Intent>>]>([
    ['a step', { steps: [...fileProcedure().steps, { title: 'Failing', do: async () => refuse() }] }],
    ['the commit', { commit: refuse }],
  ])('is taken back when %s fails, with the error that failed it', async (_, overrides) => {
    const { operation, result } = run(fileProcedure(overrides))
    await expect(result).rejects.toMatchObject({ code: 'name_taken' })
    expect(done).toEqual(['do', 'undo'])
    expect([await journalNames(), await readdir(dataDir)]).toEqual([[], ['state']])
    expect(operations.get(operation.id)).toMatchObject({ state: 'failed', outcome: 'rolled-back' })
  })

  it('undoes every step in reverse, also those that a failed undo leaves out, and says so', async () => {
    const step = (name: string, undo: () => void) => ({
      title: name,
      do: async () => void done.push(name),
      async undo() {
        done.push(`undo ${name}`)
        undo()
      },
    })
    const stuck = () => {
      throw new Error('stuck')
    }
    const steps = [step('1', () => undefined), step('2', stuck), step('3', () => undefined)]
    const { result } = run(fileProcedure({ steps, commit: refuse }))
    await expect(result).rejects.toMatchObject({
      code: 'name_taken',
      message: expect.stringContaining('the next start tries again'),
      details: { notUndone: 1 },
    })
    expect(done).toEqual(['1', '2', '3', 'undo 3', 'undo 2', 'undo 1'])
    expect(await journalNames()).toHaveLength(1)
  })

  it('can be cancelled until it commits', async () => {
    const endless = {
      title: 'Waiting',
      do: (_: Intent, op: { signal: AbortSignal }) =>
        new Promise<void>((_resolve, reject) =>
          op.signal.addEventListener('abort', () => reject(new Error('aborted'))),
        ),
    }
    const { operation, result } = run(fileProcedure({ steps: [...fileProcedure().steps, endless] }))
    while (operations.get(operation.id)?.step !== 'Waiting') await new Promise((resolve) => setImmediate(resolve))
    operations.cancel(operation.id)
    await expect(result).rejects.toMatchObject({ code: 'cancelled' })
    expect(operations.get(operation.id)).toMatchObject({ state: 'cancelled', outcome: 'rolled-back' })
    expect(await readdir(dataDir)).toEqual(['state'])
  })

  it('stays committed when what comes after fails, and keeps its intent for the next start', async () => {
    const after = [{ title: 'Finishing', do: () => Promise.reject(new SandlabError('state_io', 'No disk.')) }]
    const { operation, result } = run(fileProcedure({ after }))
    await expect(result).rejects.toMatchObject({ code: 'state_io' })
    expect(operations.get(operation.id)).toMatchObject({ state: 'failed', outcome: 'committed' })
    expect(await journalNames()).toHaveLength(1)
    await operations.close()
    await kill()
    await boot()
    expect(await transactions.recover([anyProcedure(fileProcedure())])).toMatchObject({ finished: ['Make a file'] })
    expect(await journalNames()).toEqual([])
  })

  it('does once more what comes after when the disk refused it for a moment', async () => {
    const { operation, result } = run(fileProcedure({ after: [refusing(2)] }))
    await result
    expect(done).toEqual(['do', 'commit', 'refused', 'refused', 'finished'])
    expect(await journalNames()).toEqual([])
    expect(operations.get(operation.id)).toMatchObject({ state: 'succeeded', outcome: 'committed' })
  })

  it('lets nobody build on what a disk refuses to finish, but others go on; and finishes it by itself', async () => {
    const target = { type: 'node', id: '11111111-1111-4111-8111-111111111111' } as const
    const locked: string[] = []
    const around = (intent: Intent, work: () => Promise<void>) => {
      locked.push(intent.name)
      return work()
    }
    const { operation, result } = run(fileProcedure({ after: [refusing(4)], around }), { target })
    await expect(result).rejects.toMatchObject({ code: 'no_space' })
    expect(operations.get(operation.id)).toMatchObject({ state: 'failed', outcome: 'committed' })
    expect(() => run(fileProcedure(), { target })).toThrow(
      expect.objectContaining({ code: 'busy', details: { operationId: operation.id } }),
    )
    const other = { type: 'node', id: '22222222-2222-4222-8222-222222222222' }
    const elsewhere = fileProcedure({ resources: () => [] })
    await run(elsewhere, { target: other }).result
    while (operations.get(operation.id)?.state !== 'succeeded') await new Promise((resolve) => setTimeout(resolve, 50))
    expect(locked).toEqual(['a', 'a'])
    expect(await journalNames()).toEqual([])
    await run(fileProcedure(), { target }).result
  })

  it('takes a step back once more when the disk refused it for a moment', async () => {
    const [step] = fileProcedure().steps
    const refused = refusing(1)
    const undo = async (intent: Intent) => {
      await refused.do()
      await step?.undo?.(intent)
    }
    const steps = step ? [{ ...step, undo }] : []
    await expect(run(fileProcedure({ steps, commit: refuse })).result).rejects.toMatchObject({
      message: 'A node named a already exists.',
    })
    expect([await journalNames(), await readdir(dataDir)]).toEqual([[], ['state']])
  })
})

describe('recovery', () => {
  it('undoes what was not committed', async () => {
    const { operation } = run(fileProcedure({ steps: [...fileProcedure().steps, { title: 'Hanging', do: forever }] }))
    while (!(await readdir(dataDir)).includes('a')) await new Promise((resolve) => setImmediate(resolve))
    await kill()
    await boot()
    const report = await transactions.recover([anyProcedure(fileProcedure())])
    expect(report).toMatchObject({ undone: ['Make a file'], finished: [], failed: [] })
    expect(transactions.recovery).toBe(report)
    expect([await journalNames(), await readdir(dataDir)]).toEqual([[], ['state']])
    expect(operations.get(operation.id)).toMatchObject({ state: 'lost', outcome: 'rolled-back' })
  })

  it('finishes what was committed', async () => {
    const { operation } = run(fileProcedure({ after: [{ title: 'Hanging', do: forever }] }))
    while (operations.get(operation.id)?.outcome !== 'committed') await new Promise((resolve) => setImmediate(resolve))
    await kill()
    await boot()
    expect(await transactions.recover([anyProcedure(fileProcedure())])).toMatchObject({ finished: ['Make a file'] })
    expect(done).toEqual(['do', 'commit', 'after a'])
    expect(operations.get(operation.id)).toMatchObject({ state: 'succeeded', outcome: 'committed' })
    expect(await readFile(fileOf({ name: 'a' }), 'utf8')).toBe('made')
  })

  it('goes on with what can be resumed, under the same id', async () => {
    const hanging = [...fileProcedure().steps, { title: 'Hanging', do: forever }]
    const { operation } = run(fileProcedure({ resumable: true, steps: hanging }))
    while (!(await readdir(dataDir)).includes('a')) await new Promise((resolve) => setImmediate(resolve))
    await kill()
    await boot()
    const procedure = anyProcedure(fileProcedure({ resumable: true }))
    expect(await transactions.recover([procedure])).toMatchObject({ resumed: ['Make a file'] })
    await operations.ended(operation.id)
    expect(done).toEqual(['do', 'do', 'commit', 'after a'])
    expect(operations.get(operation.id)).toMatchObject({ state: 'succeeded', outcome: 'committed' })
    expect(await journalNames()).toEqual([])
  })

  it('goes on once more with what a stop interrupted, and keeps it once', async () => {
    const waiting = {
      title: 'Waiting',
      do: (_: Intent, op: { signal: AbortSignal }) =>
        new Promise<void>((_resolve, reject) =>
          op.signal.addEventListener('abort', () => reject(new Error('stopped'))),
        ),
    }
    const steps = [...fileProcedure().steps, waiting]
    const { operation } = run(fileProcedure({ resumable: true, steps }))
    while (operations.get(operation.id)?.step !== 'Waiting') await new Promise((resolve) => setImmediate(resolve))
    await operations.close()
    await store.close()
    expect([await journalNames(), done]).toEqual([[expect.stringContaining(operation.id)], ['do']])
    await boot()
    await transactions.recover([anyProcedure(fileProcedure({ resumable: true }))])
    await operations.ended(operation.id)
    expect(operations.get(operation.id)).toMatchObject({ state: 'succeeded', outcome: 'committed' })
    expect(store.data.operations).toMatchObject([{ id: operation.id, outcome: 'committed' }])
  })

  it('tells what it can not end and leaves it for the next start', async () => {
    run(fileProcedure({ steps: [...fileProcedure().steps, { title: 'Hanging', do: forever }] }))
    while (!(await readdir(dataDir)).includes('a')) await new Promise((resolve) => setImmediate(resolve))
    await kill()
    await boot()
    expect(await transactions.recover([])).toMatchObject({
      failed: [{ title: 'Make a file', reason: 'no procedure for node.create' }],
    })
    expect(await journalNames()).toHaveLength(1)
    await kill()
    await boot()
    expect(await transactions.recover([anyProcedure(fileProcedure())])).toMatchObject({ undone: ['Make a file'] })
  })

  it('reports an entry that can not be read', async () => {
    await kill()
    await mkdir(journalDir(layoutOf(dataDir)), { recursive: true })
    const name = '000000000001-11111111-1111-4111-8111-111111111111.json'
    await writeFile(join(journalDir(layoutOf(dataDir)), name), 'torn')
    await boot()
    expect(await transactions.recover([])).toMatchObject({
      unreadable: [{ file: expect.stringContaining(`${name}.unreadable`) }],
    })
  })
})

describe('a repeated request', () => {
  const request = { key: 'k1', hash: 'h1' }
  const person = { id: 'u1', request }

  it('finds what it made, while it runs and afterwards, also after a restart', async () => {
    const { operation, result } = run(fileProcedure(), { request })
    expect(transactions.earlier(person)?.operation.id).toBe(operation.id)
    await Promise.all([result, transactions.earlier(person)?.result])
    await operations.close()
    await kill()
    await boot()
    expect(transactions.earlier(person)?.operation.id).toBe(operation.id)
    await transactions.earlier(person)?.result
  })

  it('is new without a key, from another person, or when the first one failed', async () => {
    await run(fileProcedure(), { request }).result
    expect(transactions.earlier({ id: 'u1' })).toBeNull()
    expect(transactions.earlier({ id: 'u2', request })).toBeNull()
    const other = { key: 'k2', hash: 'h2' }
    await run(fileProcedure({ commit: refuse }), { request: other }).result.catch(() => undefined)
    expect(transactions.earlier({ id: 'u1', request: other })).toBeNull()
  })

  it('is refused when it asks for something else', async () => {
    await run(fileProcedure(), { request }).result
    expect(() => transactions.earlier({ id: 'u1', request: { key: 'k1', hash: 'other' } })).toThrow(
      expect.objectContaining({ code: 'key_reused' }),
    )
  })
})

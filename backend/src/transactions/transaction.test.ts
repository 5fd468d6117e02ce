import { describe, expect, it } from '@jest/globals'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { transaction } from './transaction.js'

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('it succeeded')
}

/** Three steps of which `failing` throws; says what was done and undone. */
async function run(failing: number, brokenUndo = -1) {
  const world: string[] = []
  const work = transaction(async (undo) => {
    for (let step = 0; step < 3; step += 1) {
      if (step === failing) throw new SandlabError('no_space', `step ${step} failed`, { hint: 'make room' })
      world.push(`do ${step}`)
      undo(() => {
        if (step === brokenUndo) throw new Error(`undo ${step} failed`)
        world.push(`undo ${step}`)
      })
    }
    return 'done'
  })
  return { world, work }
}

describe('transaction', () => {
  it('undoes nothing when all went well', async () => {
    const { world, work } = await run(3)
    expect(await work).toBe('done')
    expect(world).toEqual(['do 0', 'do 1', 'do 2'])
  })

  it.each([
    [0, []],
    [1, ['do 0', 'undo 0']],
    [2, ['do 0', 'do 1', 'undo 1', 'undo 0']],
  ])('undoes in reverse what was done before step %i failed', async (failing, expected) => {
    const { world, work } = await run(failing)
    expect(await failureOf(work)).toMatchObject({ code: 'no_space', message: `step ${failing} failed` })
    expect(world).toEqual(expected)
  })

  it('goes on undoing when an undo fails, and says so', async () => {
    const { world, work } = await run(2, 1)
    const error = await failureOf(work)
    expect(world).toEqual(['do 0', 'do 1', 'undo 0'])
    expect(error).toMatchObject({ code: 'no_space', hint: 'make room', details: { notUndone: 1 } })
    const causes = isSandlabError(error) && error.cause instanceof AggregateError ? error.cause.errors : []
    expect(causes.map(String)).toEqual(['SandlabError: step 2 failed', 'Error: undo 1 failed'])
  })

  it('waits for an undo before it starts the next', async () => {
    const world: string[] = []
    const work = transaction(async (undo) => {
      undo(() => void world.push('first'))
      undo(async () => {
        await new Promise((resolve) => setImmediate(resolve))
        world.push('second')
      })
      throw new Error('unexpected')
    })
    expect(await failureOf(work)).toMatchObject({ message: 'unexpected' })
    expect(world).toEqual(['second', 'first'])
  })
})

import { describe, expect, it } from '@jest/globals'
import { createNodeLocks } from './node-lock.js'

function gate() {
  let open: (value: string) => void = () => undefined
  const passed = new Promise<string>((resolve) => (open = resolve))
  return { passed, open }
}

describe('createNodeLocks', () => {
  it('starts once for fifty that ask for the same', async () => {
    const locks = createNodeLocks()
    const { passed, open } = gate()
    let started = 0
    const all = Array.from({ length: 50 }, () =>
      locks.run('a', 'start', () => {
        started += 1
        return passed
      }),
    )
    expect(locks.busy('a')).toBe('start')
    open('running')
    expect(new Set(await Promise.all(all))).toEqual(new Set(['running']))
    expect(started).toBe(1)
    expect(locks.busy('a')).toBeUndefined()
  })

  it('refuses another action, naming the one under way, and lets other nodes be', async () => {
    const locks = createNodeLocks()
    const { passed, open } = gate()
    const stopping = locks.run('a', 'stop', () => passed)
    await expect(locks.run('a', 'delete', async () => 'gone')).rejects.toMatchObject({
      code: 'busy',
      details: { action: 'stop' },
    })
    expect(await locks.run('b', 'delete', async () => 'gone')).toBe('gone')
    open('stopped')
    await stopping
    expect(await locks.run('a', 'delete', async () => 'gone')).toBe('gone')
  })

  it('is free again after a failure, also one that is thrown at once', async () => {
    const locks = createNodeLocks()
    const boom = (): Promise<string> => {
      throw new Error('at once')
    }
    await expect(locks.run('a', 'start', boom)).rejects.toThrow('at once')
    await expect(locks.run('a', 'start', () => Promise.reject(new Error('later')))).rejects.toThrow('later')
    expect(await locks.run('a', 'stop', async () => 'ok')).toBe('ok')
  })
})

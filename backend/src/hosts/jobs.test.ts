import { describe, expect, it } from '@jest/globals'
import { SandlabError } from '../domain/error.js'
import { QmpError } from '../system/qmp.js'
import { EngineError } from './engine.js'
import { createJobs, engineErrorOf } from './jobs.js'

const never = () => new Promise<never>(() => undefined)

describe('a job', () => {
  it('runs once for its key, while it runs and after it has succeeded', async () => {
    const jobs = createJobs()
    let runs = 0
    const work = async () => (runs += 1)
    const job = jobs.run('start a', 'k', work)
    expect(jobs.run('start a', 'k', work)).toBe(job)
    expect(job.state).toBe('pending')
    expect(await job.wait()).toBe(1)
    expect(job.state).toBe('succeeded')
    expect(await jobs.run('start a', 'k', work).wait()).toBe(1)
  })

  it('is another one for another key, node or action', async () => {
    const jobs = createJobs()
    let runs = 0
    const work = async () => (runs += 1)
    await Promise.all(
      [
        ['start a', 'k'],
        ['start a', 'l'],
        ['start b', 'k'],
        ['stop a', 'k'],
      ].map(([scope = '', key = '']) => jobs.run(scope, key, work).wait()),
    )
    expect(runs).toBe(4)
  })

  it('is tried again under the same key after it has failed', async () => {
    const jobs = createJobs()
    const failing = jobs.run('start a', 'k', async () => {
      throw new EngineError('no-space', 'full')
    })
    await expect(failing.wait()).rejects.toMatchObject({ code: 'no-space' })
    expect(failing.state).toBe('failed')
    expect(await jobs.run('start a', 'k', async () => 'well').wait()).toBe('well')
  })

  it('goes on when a wait for it is over', async () => {
    let finish!: (value: string) => void
    const job = createJobs().run('start a', 'k', () => new Promise<string>((resolve) => (finish = resolve)))
    await expect(job.wait({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'timeout', retry: true })
    await expect(job.wait({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'timeout' })
    const abort = new AbortController()
    const waiting = job.wait({ signal: abort.signal, timeoutMs: 60_000 })
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'timeout' })
    finish('done')
    expect(await job.wait({ timeoutMs: 60_000 })).toBe('done')
  })

  it('is lost when the engine closes before its end', async () => {
    const jobs = createJobs()
    const done = jobs.run('start a', 'k', async () => 1)
    await done.wait()
    const job = jobs.run('stop a', 'k', never)
    jobs.close()
    await expect(job.wait()).rejects.toMatchObject({ code: 'lost', retry: true })
    expect([job.state, done.state]).toEqual(['lost', 'succeeded'])
  })

  it('is forgotten when a thousand newer ones have ended', async () => {
    const jobs = createJobs()
    const first = jobs.run('start a', 'first', async () => 1)
    for (let n = 0; n < 1000; n += 1) await jobs.run('start a', `k${n}`, async () => n).wait()
    expect(jobs.run('start a', 'first', async () => 1)).not.toBe(first)
    expect(jobs.run('start a', 'k999', async () => 0).state).toBe('succeeded')
  })
})

describe('a failure from below', () => {
  it.each([
    [new EngineError('locked', 'mine'), 'locked', 'mine'],
    [new SandlabError('no_space', 'No room.', { hint: 'Make some.' }), 'no-space', 'No room. Make some.'],
    [new SandlabError('node_broken', 'Gone.'), 'broken', 'Gone.'],
    [new SandlabError('missing_tool', 'No QEMU.'), 'engine', 'No QEMU.'],
    [new QmpError('silent', 'Said nothing.'), 'engine', 'Said nothing.'],
    [Object.assign(new Error('ENOSPC, write /srv/x'), { code: 'ENOSPC' }), 'no-space', "The host's disk is full."],
    [
      Object.assign(new Error('EACCES, open /srv/x'), { code: 'EACCES' }),
      'engine',
      'The host refused a step (EACCES).',
    ],
    [new TypeError('x is not a function'), 'engine', 'The engine failed; its log says why.'],
    ['a string', 'engine', 'The engine failed; its log says why.'],
  ])('%s is told without paths or inner words', (error, code, message) => {
    expect(engineErrorOf(error)).toMatchObject({ code, message })
  })
})

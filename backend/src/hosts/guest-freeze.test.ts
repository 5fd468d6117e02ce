import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startFakeGuestAgent, type FakeGuestAgent } from '../../test/support/fake-guest-agent.js'
import { untilSeen } from '../../test/support/until.js'
import { nodeIdSchema } from '../domain/ids.js'
import { createLog } from '../system/log.js'
import { agentStateOf } from './agent-line.js'
import { EngineError } from './engine.js'
import { catchUp, setGuestTime, whileFrozen } from './guest-freeze.js'
import { readLaunchRecord, type LaunchRecord } from './launch-record.js'
import { createRun, type EngineContext, type Run } from './run.js'
import { runPathsIn } from './run-paths.js'

const ID = nodeIdSchema.parse('0f8fad5b-d9cb-469f-a165-70867728950e')
const PORT = ['-device', '{"driver":"virtserialport","name":"org.qemu.guest_agent.0"}']

let folder: string
let run: Run
let context: EngineContext
let closing: AbortController
let guest: FakeGuestAgent
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-'))
  const paths = runPathsIn(join(folder, '0f8fad5bd9cb'))
  await mkdir(paths.io, { recursive: true })
  // What is looked at.
  const launch = { ...LAUNCHED, id: ID, generation: 1, args: PORT, agentDue: false } as unknown as LaunchRecord
  run = createRun(paths, launch, null)
  closing = new AbortController()
  context = { live: new Map([[ID, run]]), closed: closing.signal, log: createLog('silent') } as unknown as EngineContext // the same
  guest = await startFakeGuestAgent(paths.agent)
})
afterEach(async () => {
  closing.abort()
  await guest.close()
  await rm(folder, { recursive: true })
})

const LAUNCHED = {
  version: 1,
  accelerator: 'tcg',
  qemuVersion: '7.2',
  startedAt: '2026-11-21T12:00:00.000Z',
  bootId: 'boot',
  process: null,
  stopAsked: false,
  held: false,
  ended: null,
}
const onRecord = async () => (await readLaunchRecord(run.paths.launch))?.agentDue

describe('what is done while a guest is frozen', () => {
  it('is done between the freeze and the thaw, on record before and after', async () => {
    const seen: unknown[] = []
    const { value, frozenMs } = await whileFrozen(context, run, async () => {
      seen.push(guest.isFrozen(), await onRecord())
      return 'taken'
    })
    expect(value).toBe('taken')
    expect(frozenMs).toBeGreaterThan(0)
    expect(seen).toEqual([true, true])
    expect(guest.isFrozen()).toBe(false)
    expect(await onRecord()).toBe(false)
  })

  it('fails, and the guest is thawed all the same', async () => {
    const work = async () => {
      throw new EngineError('no-space', 'full')
    }
    await expect(whileFrozen(context, run, work)).rejects.toMatchObject({ code: 'no-space' })
    expect(guest.isFrozen()).toBe(false)
    expect(await onRecord()).toBe(false)
  })

  it('is not begun where the agent refuses, or finds nothing to freeze', async () => {
    const work = async () => {
      throw new Error('it was begun')
    }
    for (const reply of [{ error: { class: 'GenericError', desc: 'not today' } }, { return: 0 }]) {
      guest.behave((command) => (command === 'guest-fsfreeze-freeze' ? reply : undefined))
      await expect(whileFrozen(context, run, work)).rejects.toMatchObject({ code: 'unsupported' })
    }
    expect(guest.asked.at(-1)).toBe('guest-fsfreeze-thaw')
    expect(await onRecord()).toBe(false)
  })

  it('is done; an agent that then hangs up is told to thaw as soon as it answers again', async () => {
    let deaf = true
    guest.behave((command) => (command === 'guest-fsfreeze-thaw' && deaf ? Buffer.from('rubbish\n') : undefined))
    await whileFrozen(context, run, async () => 'taken')
    expect([guest.isFrozen(), await onRecord()]).toEqual([true, true])
    deaf = false
    await untilSeen('the thaw', async () => !guest.isFrozen() && (await onRecord()) === false)
  })

  it('waits until nobody else asks the agent', async () => {
    const order: string[] = []
    const both = [1, 2].map((number) =>
      whileFrozen(context, run, async () => {
        order.push(`begin ${number}`)
        await new Promise((resolve) => setImmediate(resolve))
        order.push(`end ${number}`)
      }),
    )
    expect(await agentStateOf(run)).toBe('answers')
    await Promise.all(both)
    expect(order).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })
})

describe('a guest that was left frozen, or went on from its memory', () => {
  beforeEach(() => {
    run.launch = { ...run.launch, agentDue: true }
  })

  it('is thawed, has its clock set, and is not due any more', async () => {
    await catchUp(context, run)
    expect(guest.asked).toEqual(['guest-fsfreeze-thaw', 'guest-set-time'])
    expect(await onRecord()).toBe(false)
  })

  it('is left to the next engine when this one is closed', async () => {
    await guest.close()
    const done = catchUp(context, run)
    closing.abort()
    await done
    expect(run.launch.agentDue).toBe(true)
    guest = await startFakeGuestAgent(run.paths.agent)
  })
})

describe('the clock of a guest', () => {
  it('counts as set when only the clock of the hardware could not be', async () => {
    guest.behave((command) =>
      command === 'guest-set-time' ? { error: { class: 'GenericError', desc: 'hwclock failed' } } : undefined,
    )
    expect(await setGuestTime(context, run)).toBe(true)
    guest.behave((command) => {
      if (command === 'guest-get-time') return { return: 0 }
      return command === 'guest-set-time' ? { error: { class: 'GenericError', desc: 'unsupported' } } : undefined
    })
    expect(await setGuestTime(context, run)).toBe(false)
  })

  it('is left alone where the machine has no port', async () => {
    run.launch = { ...run.launch, args: [] }
    expect(await setGuestTime(context, run)).toBe(false)
    expect(await agentStateOf(run)).toBe('absent')
    await expect(whileFrozen(context, run, async () => 1)).rejects.toMatchObject({ code: 'unsupported' })
    expect(guest.asked).toEqual([])
  })
})

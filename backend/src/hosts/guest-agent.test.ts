import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startFakeGuestAgent, type AgentReply, type FakeGuestAgent } from '../../test/support/fake-guest-agent.js'
import { untilSeen } from '../../test/support/until.js'
import { connectAgent, type GuestAgent } from './guest-agent.js'

const QUICK_MS = 300

let folder: string
let path: string
let guest: FakeGuestAgent
const opened: GuestAgent[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-'))
  path = join(folder, 'agent')
  guest = await startFakeGuestAgent(path)
})
afterEach(async () => {
  for (const agent of opened.splice(0)) agent.close()
  await guest.close()
  await rm(folder, { recursive: true })
})

const open = async (answerMs = QUICK_MS) => {
  const agent = await connectAgent(path, answerMs)
  opened.push(agent)
  return agent
}
const text = (words: string) => Buffer.from(words, 'latin1')

describe("a guest's agent", () => {
  it('answers, freezes, thaws, and takes the time', async () => {
    const times: unknown[] = []
    guest.behave((command, args) => {
      if (command === 'guest-set-time') times.push(args['time'])
      return undefined
    })
    const agent = await open()
    await agent.ping()
    expect(await agent.freezeStatus()).toBe('thawed')
    expect(await agent.freeze()).toBe(1)
    expect(await agent.freezeStatus()).toBe('frozen')
    expect(await agent.thaw()).toBe(1)
    expect(await agent.thaw()).toBe(0)
    await agent.setTime(new Date('2026-11-21T12:00:00.000Z'))
    expect(times).toEqual([Date.parse('2026-11-21T12:00:00.000Z') * 1_000_000])
    expect(Math.abs((await agent.time()).getTime() - Date.now())).toBeLessThan(5000)
  })

  it('is found behind answers to those who asked before, and behind half a line', async () => {
    guest.behave((command, args) =>
      command === 'guest-sync-delimited'
        ? text(`{"return": 7}\n\xff{"return": 12}\n{"ret\xff{"return": ${String(args['id'])}}\n`)
        : undefined,
    )
    expect(await (await open()).freezeStatus()).toBe('thawed')
  })

  it('does not count for an answer what it said before it was asked', async () => {
    guest.behave((command) => (command === 'guest-ping' ? text('{"return": {}}\n{"return": 5}\n') : undefined))
    const agent = await open()
    await agent.ping()
    await new Promise((resolve) => setImmediate(resolve))
    expect(await agent.freezeStatus()).toBe('thawed')
  })

  it('that refuses is quoted in a few plain words', async () => {
    const desc = `\u001b[2Jno\n${'x'.repeat(5000)}`
    guest.behave((command) => (command === 'guest-ping' ? { error: { class: 'GenericError', desc } } : undefined))
    const failure: Error = await (await open()).ping().then(
      () => new Error('it did not refuse'),
      (error: Error) => error,
    )
    expect(failure).toMatchObject({ failure: 'refused', message: expect.stringContaining('guest-ping') })
    expect(failure.message).toMatch(/^[\x20-\x7e]{1,300}$/)
  })
})

describe('what is no agent, or a hostile one, ends in a clear error', () => {
  const connectFailure = (answerMs?: number) =>
    open(answerMs).then(
      () => new Error('it connected'),
      (error: Error) => error,
    )

  it.each<[string, AgentReply, string]>([
    ['says nothing', null, 'silent'],
    ['answers with another number', { return: 1 }, 'silent'],
    ['answers without a new line', text('\xff{"return": '), 'silent'],
    ['sends a line without an end', Buffer.alloc(64 * 1024, 'x'), 'protocol'],
    ['sends lines without an end', Buffer.alloc(300 * 1024, '{"return": 1}\n'), 'protocol'],
    ['sends nothing but sentinels', Buffer.alloc(300 * 1024, 0xff), 'protocol'],
    ['speaks no JSON', text('login: \n\xff\n[]\nnull\n'), 'silent'],
  ])('when it %s', async (_what, reply, failure) => {
    guest.behave((command) => (command === 'guest-sync-delimited' ? reply : undefined))
    // What is told by what it sends is waited for as long as that takes.
    const found = await connectFailure(failure === 'silent' ? undefined : 30_000)
    expect(found).toMatchObject({ name: 'AgentError', failure })
    await untilSeen('the end of the connection', async () => guest.connections() === 0)
  })

  it('when its answer has another form', async () => {
    for (const reply of [text('null\n'), text('"x\n'), { return: 'melting' }]) {
      guest.behave((command) => (command === 'guest-fsfreeze-status' ? reply : undefined))
      const agent = await open()
      await expect(agent.freezeStatus()).rejects.toMatchObject({ failure: 'protocol' })
    }
  })

  it('when it hangs up in the middle', async () => {
    const agent = await open()
    guest.behave(() => null)
    const asked = agent.ping()
    await Promise.all([expect(asked).rejects.toMatchObject({ failure: 'closed' }), guest.close()])
    await expect(agent.ping()).rejects.toMatchObject({ failure: 'closed' })
    guest = await startFakeGuestAgent(path)
  })

  it('reads a flood no further than its bound', async () => {
    await guest.close()
    await rm(path, { force: true })
    let sent = 0
    const flood = createServer((socket) => {
      socket.on('error', () => undefined) // we hung up
      const pour = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024, 'y'))) sent += 64 * 1024
      }
      socket.on('drain', pour)
      pour()
    })
    await new Promise<void>((resolve) => flood.listen(path, resolve))
    expect(await connectFailure(30_000)).toMatchObject({ failure: 'protocol' })
    expect(sent).toBeLessThan(4 * 1024 * 1024)
    await new Promise((resolve) => flood.close(resolve))
    guest = await startFakeGuestAgent(path)
  })

  it('when there is no socket, nobody behind it, a file, or a link to one', async () => {
    const real = path
    for (const make of [
      async () => (path = join(folder, 'none')),
      async () => writeFile((path = join(folder, 'file')), ''),
      async () => symlink(real, (path = join(folder, 'link'))),
    ]) {
      await make()
      expect(await connectFailure()).toMatchObject({ failure: 'absent' })
    }
  })
})

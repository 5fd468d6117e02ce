import { describe, expect, it } from '@jest/globals'
import { nodeIdSchema } from '../../domain/ids.js'
import type { GuestAgentState, NodeEngine } from '../../hosts/engine.js'
import { seenIn, watchBoot } from './test-boot-watch.js'

describe('a guest that is up', () => {
  it.each([
    ['\r\nDebian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ', undefined, 'login'],
    ['\u001b[2J\u001b[Hweb login: \r\n[   12.3] random: crng init done\r\n', undefined, 'login'],
    ['[  OK  ] Reached target graphical.target', 'graphical.target', 'text'],
  ])('is seen in %j', (output, expected, seen) => expect(seenIn(output, expected)).toBe(seen))

  it.each([
    ['Starting login: service', undefined],
    ['Last login: Fri Nov 20 on ttyS0', undefined],
    ['web login: ', 'graphical.target'],
    ['', undefined],
  ])('is not seen in %j', (output, expected) => expect(seenIn(output, expected)).toBeNull())
})

describe('a guest that says nothing on its serial console', () => {
  const ID = nodeIdSchema.parse('0f8fad5b-d9cb-469f-a165-70867728950e')
  const watch = (guestAgent: () => Promise<GuestAgentState>, expected?: string) => {
    const engine = {
      serialTail: async () => Buffer.alloc(0),
      inspect: async () => ({ phase: 'running', reason: null }),
      guestAgent,
    } as unknown as NodeEngine // what is asked
    const options = { timeoutSeconds: 1, ...(expected === undefined ? {} : { expect: expected }) }
    return watchBoot(engine, ID, options, new AbortController().signal, () => undefined)
  }

  it('is up as soon as its agent answers', async () => {
    let asked = 0
    const seen = await watch(async () => ((asked += 1) > 1 ? 'answers' : 'silent'))
    expect(seen).toMatchObject({ ok: true, seen: 'agent' })
  })

  it('is not up while its agent is silent, hangs or can not be asked, or when a text was asked for', async () => {
    const hanging = () => new Promise<GuestAgentState>(() => undefined)
    const failing = async () => Promise.reject(new Error('it does not run'))
    const all = [watch(async () => 'silent'), watch(hanging), watch(failing), watch(async () => 'answers', 'text')]
    for (const seen of await Promise.all(all)) expect(seen).toMatchObject({ ok: false, seen: null })
  })
})

import { describe, expect, it } from '@jest/globals'
import { NODE_STATUSES } from '@domain/node.js'
import { sampleNode } from '../../test/samples.js'
import { sinceWhen, whereItStands } from './where-it-stands.js'

const NOW = Date.parse('2026-11-21T12:00:00.000Z')
const exit = (how: string) => ({ at: '2026-11-21T10:00:00.000Z', how, reason: 'signal 9', serialTail: [] })

describe('whereItStands', () => {
  it('says how long a node is up', () => {
    const node = sampleNode({ status: 'running', startedAt: '2026-11-21T08:55:00.000Z' })
    expect(whereItStands(node, NOW)).toBe('Up 3 h 05 min')
  })

  it('tells the four ways in which a run ends apart', () => {
    const after = (how: string) => whereItStands(sampleNode({ lastExit: exit(how) }), NOW)
    expect(after('guest')).toBe('Powered itself off 2 h ago')
    expect(after('asked')).toBe('Shut down 2 h ago')
    expect(after('forced')).toBe('Switched off 2 h ago')
    expect(after('crashed')).toBe('Crashed 2 h ago')
    expect(whereItStands(sampleNode(), NOW)).toBe('Never started, created yesterday')
  })

  it('gives the reason of trouble, unless the reason stands beside it', () => {
    const broken = sampleNode({ status: 'broken', statusReason: 'The overlay is missing.' })
    expect(whereItStands(broken, NOW)).toBe('The overlay is missing.')
    expect(sinceWhen(broken, NOW)).toBe('Its storage is not as recorded')
    const crashed = sampleNode({ status: 'crashed', statusReason: 'signal 9', lastExit: exit('crashed') })
    expect(whereItStands(crashed, NOW)).toBe('2 h ago: signal 9')
    expect(sinceWhen(crashed, NOW)).toBe('2 h ago')
  })

  it('says since when a suspended node keeps its memory', () => {
    const suspended = { at: '2026-11-21T10:00:00.000Z', sizeBytes: 1, why: 'asked' }
    expect(whereItStands(sampleNode({ status: 'suspended', suspended }), NOW)).toBe('Its memory was saved 2 h ago')
  })

  it('has words for every status', () => {
    for (const status of NODE_STATUSES) expect(whereItStands(sampleNode({ status }), NOW)).not.toBe('')
  })
})

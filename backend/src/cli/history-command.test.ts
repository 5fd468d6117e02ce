import { describe, expect, it } from '@jest/globals'
import { consoleVisitSchema } from '../domain/console-history.js'
import { visitDuration } from './history-command.js'

const visit = consoleVisitSchema.parse({
  id: '00000000-0000-4000-8000-000000000001',
  nodeId: '00000000-0000-4000-8000-000000000002',
  nodeName: 'web',
  userId: '00000000-0000-4000-8000-000000000003',
  login: 'ada',
  kind: 'serial',
  engine: 'direct',
  mode: 'control',
  address: null,
  recorded: false,
  openedAt: '2026-11-21T08:00:00.000Z',
  closedAt: '2026-11-21T10:05:31.000Z',
  ended: 'closed',
})

describe('how long a console was open', () => {
  it('is told in hours, minutes or seconds', () => {
    expect(visitDuration(visit, 0)).toBe('2 h 5 min')
    expect(visitDuration({ ...visit, closedAt: '2026-11-21T10:00:00.000Z' }, 0)).toBe('2 h')
    expect(visitDuration({ ...visit, closedAt: '2026-11-21T08:00:41.000Z' }, 0)).toBe('41 s')
  })

  it('says that it is open, and that its end was not seen', () => {
    const now = Date.parse('2026-11-21T08:03:10.000Z')
    expect(visitDuration({ ...visit, closedAt: null, ended: null }, now)).toBe('open for 3 min')
    expect(visitDuration({ ...visit, ended: 'lost' }, now)).toBe('at least 2 h 5 min')
  })
})

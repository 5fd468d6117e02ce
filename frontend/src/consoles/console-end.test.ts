import { describe, expect, it } from '@jest/globals'
import { CLOSE } from '@domain/console-codes.js'
import { afterClose, afterRefusal, retryDelayMs } from './console-end.js'

const refusal = (code: string) => Object.assign(new Error(`because of ${code}`), { code })

describe('when a console ends', () => {
  it('waits longer each time, up to 15 s', () => {
    expect([0, 1, 2, 3, 4, 5, 99].map(retryDelayMs)).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
  })

  it('tries again where that can help', () => {
    for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, CLOSE.unavailable]) {
      expect(afterClose(code)).toMatchObject({ follow: 'retry' })
    }
    for (const code of ['unreachable', 'internal', 'starting_up', 'database_down', 'too_many_requests']) {
      expect(afterRefusal(refusal(code))).toMatchObject({ follow: 'retry' })
    }
    expect(afterRefusal(new TypeError('odd'))).toMatchObject({ follow: 'retry', reason: 'odd' })
    expect(afterRefusal(null)).toMatchObject({ follow: 'retry' })
  })

  it('stops where it can’t, and says what can be done', () => {
    expect(afterClose(CLOSE.badTicket)).toMatchObject({ follow: 'stop', next: 'sign-in' })
    expect(afterClose(CLOSE.notAllowed)).toMatchObject({ follow: 'stop', next: 'none' })
    expect(afterClose(CLOSE.tooManyViewers)).toMatchObject({ follow: 'stop', next: 'retry' })
    expect(afterClose(CLOSE.takenOver)).toMatchObject({ follow: 'stop', next: 'retry' })
    expect(afterClose(CLOSE.finished)).toMatchObject({ follow: 'stop', next: 'again' })
    expect(afterRefusal(refusal('unsupported'))).toMatchObject({ follow: 'stop', next: 'none' })
    expect(afterClose(1008)).toMatchObject({ follow: 'stop', next: 'retry' })
    expect(afterRefusal(refusal('not_signed_in'))).toMatchObject({ follow: 'stop', next: 'sign-in' })
    expect(afterRefusal(refusal('not_found'))).toMatchObject({ follow: 'stop', reason: 'because of not_found' })
    expect(afterRefusal(refusal('too_many_viewers'))).toMatchObject({ follow: 'stop', next: 'retry' })
  })

  it('knows a node that does not run', () => {
    expect(afterClose(CLOSE.notRunning)).toEqual({ follow: 'node-stopped' })
    expect(afterRefusal(refusal('console_not_available'))).toEqual({ follow: 'node-stopped' })
  })
})

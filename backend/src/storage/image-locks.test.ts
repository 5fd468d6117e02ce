import { describe, expect, it } from '@jest/globals'
import { inodesIn } from './image-locks.js'

describe('the locks that QEMU holds', () => {
  it('are told from those of other programs by their kind and place', () => {
    const locks = [
      '1: POSIX  ADVISORY  WRITE 4242 fe:00:17 0 EOF',
      '2: OFDLCK ADVISORY  READ -1 fe:00:4711 100 101',
      '3: OFDLCK ADVISORY  READ -1 fe:00:4711 201 201',
      '4: FLOCK  ADVISORY  WRITE 99 fe:00:18 0 EOF',
      '5: OFDLCK ADVISORY  WRITE -1 fe:00:19 0 EOF',
      '5: -> OFDLCK ADVISORY  WRITE -1 00:2a:20 103 103',
      'what is this',
    ].join('\n')
    expect([...inodesIn(locks)]).toEqual([4711, 20])
  })
})

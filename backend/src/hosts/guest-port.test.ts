import { describe, expect, it } from '@jest/globals'
import { isForwarded } from './guest-port.js'

/** As QEMU 7.2 prints it. */
const USERNET = [
  'Hub -1 (net0):',
  '  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ',
  '  TCP[HOST_FORWARD]  31       127.0.0.1 20022       10.0.2.15    22     0     0',
  '  UDP[236 sec]       44       10.0.2.15 46363        10.0.2.3    53     0     0',
].join('\r\n')

describe('a port that a QEMU forwards to its guest', () => {
  it('is known again when an earlier backend has opened it', () => {
    expect(isForwarded(USERNET, 22)).toBe(true)
  })

  it('is not another one, and not a connection', () => {
    expect(isForwarded(USERNET, 2)).toBe(false)
    expect(isForwarded(USERNET.replace('HOST_FORWARD', 'ESTABLISHED'), 22)).toBe(false)
    expect(isForwarded(USERNET.replace('127.0.0.1', '0.0.0.0'), 22)).toBe(false)
  })
})

import { describe, expect, it } from '@jest/globals'
import { seenIn } from './test-boot-watch.js'

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

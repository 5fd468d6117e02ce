import { describe, expect, it } from '@jest/globals'
import { instructionsForGuacd } from './instructions.js'

describe('what a viewer may say to guacd', () => {
  it.each([
    '3.nop;',
    '4.sync,8.12345678;',
    '3.key,5.65293,1.1;',
    '5.mouse,3.100,2.50,1.1;3.key,2.97,1.0;',
    '9.clipboard,1.0,10.text/plain;4.blob,1.0,4.YWJj;3.end,1.0;',
    '4.blob,1.0,8.äöü€𝄞abc;', // lengths count code points: an astral letter is one
  ])('passes %s as it is', (message) => {
    expect(instructionsForGuacd(message)).toBe(message)
  })

  it('keeps the tunnel’s own words to itself', () => {
    expect(instructionsForGuacd('0.,4.ping,3.123;')).toBe('')
    expect(instructionsForGuacd('0.,4.ping,3.123;3.nop;')).toBe('3.nop;')
  })

  it.each([
    ['an opcode that no viewer needs', '6.select,3.vnc;'],
    ['a change of guacd’s settings', '4.argv,1.0,10.text/plain,8.hostname;'],
    ['a file', '4.file,1.0,10.text/plain,1.a;'],
    ['half an instruction', '3.key,5.65293,1.1'],
    ['a length that is too long', '3.key,50.65293,1.1;'],
    ['a length that is too short', '3.key,2.65293,1.1;'],
    ['a negative length', '3.key,-1.6,1.1;'],
    ['no length', 'key;'],
    ['an empty length', '.key;'],
    ['a hexadecimal length', '0x3.key;'],
    ['a second instruction that is bad', '3.nop;6.select,3.vnc;'],
    ['something between instructions', '3.nop; 3.nop;'],
    ['an element beyond all measure', `4.blob,1.0,9999.${'a'.repeat(9999)};`],
    ['too many elements', `3.key${',1.1'.repeat(40)};`],
    ['half a letter at the end', '3.key,2.a\ud834'],
  ])('refuses %s', (_name, message) => {
    expect(instructionsForGuacd(message)).toBeUndefined()
  })
})

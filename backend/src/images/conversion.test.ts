import { describe, expect, it } from '@jest/globals'
import { conversionArguments } from './conversion.js'

describe('conversionArguments', () => {
  it('states the format of a qcow2 and forbids it a backing file', () => {
    const source = conversionArguments('source', 'out/image.qcow2', { format: 'qcow2' }).at(-2) ?? ''
    expect(source.startsWith('json:')).toBe(true)
    expect(JSON.parse(source.slice(5))).toEqual({
      driver: 'qcow2',
      backing: null,
      file: { driver: 'file', filename: 'source' },
    })
  })

  it('states that a raw disk is raw, whatever it holds', () => {
    const source = conversionArguments('source', 'out/image.qcow2', { format: 'raw' }).at(-2) ?? ''
    expect(JSON.parse(source.slice(5))).toEqual({ driver: 'raw', file: { driver: 'file', filename: 'source' } })
  })

  it('writes a compressed qcow2, with progress', () => {
    expect(conversionArguments('a', 'b', { format: 'raw' })).toEqual([
      'convert',
      '-p',
      '-c',
      '-O',
      'qcow2',
      '-o',
      'compression_type=zstd',
      expect.stringMatching(/^json:/),
      'b',
    ])
  })

  it('keeps a name with commas, quotes and colons one name', () => {
    const source = conversionArguments('nbd:x,y="z"', 'b', { format: 'raw' }).at(-2) ?? ''
    expect(JSON.parse(source.slice(5)).file.filename).toBe('nbd:x,y="z"')
  })
})

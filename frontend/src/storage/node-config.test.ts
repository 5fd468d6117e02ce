import { describe, expect, it } from '@jest/globals'
import { configTemplate, lineOf, nameFromFile } from './node-config.js'

describe('the YAML for a disk without a record', () => {
  it('names the disk that is attached, in its own format', () => {
    const text = configTemplate({ path: '/overlays/old.img', format: 'raw' }, 'old')
    expect(text).toContain('name: old\n')
    expect(text).toContain('    type: raw\n    file: /overlays/old.img\n')
  })
})

describe('the line of an error', () => {
  it.each([
    ['It can’t be read at line 7.', {}, 7],
    ['It can’t be read.', { line: 3 }, 3],
    ['The deadline 5 has passed.', {}, undefined],
    ['It can’t be read.', { line: 'x' }, undefined],
  ])('of “%s” with %j is %s', (message, details, line) => {
    expect(lineOf(message, details)).toBe(line)
  })
})

describe('a name from a file', () => {
  it.each([
    ['/overlays/Forgotten VM.qcow2', 'forgotten-vm'],
    ['/overlays/db_1.img', 'db-1'],
    ['/overlays/___.raw', ''],
  ])('of %s is “%s”', (path, name) => {
    expect(nameFromFile(path)).toBe(name)
  })
})

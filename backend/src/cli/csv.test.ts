import { describe, expect, it } from '@jest/globals'
import { readCsv } from './csv.js'

const fieldsOf = (text: string) => readCsv(text).map(({ fields }) => fields)

describe('tables with a heading', () => {
  it('are read with commas or semicolons, any line ends, and a byte order mark', () => {
    const expected = [
      { name: 'web-1', owner: 'anna' },
      { name: 'web-2', owner: '' },
    ]
    expect(fieldsOf('name,owner\nweb-1,anna\nweb-2,\n')).toEqual(expected)
    expect(fieldsOf('\uFEFFName; Owner \r\nweb-1;anna\r\n\r\nweb-2\r\n')).toEqual(expected)
    expect(fieldsOf('')).toEqual([])
    expect(fieldsOf('name')).toEqual([])
  })

  it('may quote separators, quotes and line ends', () => {
    expect(fieldsOf('name,note\n"a","b, ""c""\nd"\ne,f "g"')).toEqual([
      { name: 'a', note: 'b, "c"\nd' },
      { name: 'e', note: 'f "g"' },
    ])
  })

  it('know the lines that they came from', () => {
    expect(readCsv('name\n\na\n"b\nc"\nd').map(({ line }) => line)).toEqual([3, 4, 6])
    expect(() => readCsv('name\na\nb,c')).toThrow('Line 3 has 2 fields, the heading 1.')
    expect(() => readCsv('name\na\n"b\nc')).toThrow('The quote that begins in line 3 does not end.')
  })
})

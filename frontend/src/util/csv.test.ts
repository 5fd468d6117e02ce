import { describe, expect, it } from '@jest/globals'
import { splitLine, toCsv } from './csv.js'

describe('comma-separated values', () => {
  it('are quoted where they must be, and read back the same', () => {
    const fields = ['web-1', 'a "b", c', ' edge ', 'plain']
    const text = toCsv([fields])
    expect(text).toBe('web-1,"a ""b"", c"," edge ",plain\r\n')
    expect(splitLine(text.trimEnd()).map((field) => field.trim())).toEqual(fields.map((field) => field.trim()))
  })

  it('may be separated by semicolons or tabs', () => {
    expect(splitLine('web-1; sam ;')).toEqual(['web-1', 'sam', ''])
    expect(splitLine('web-1\tsam')).toEqual(['web-1', 'sam'])
    expect(splitLine('"a;b",c')).toEqual(['a;b', 'c'])
  })
})

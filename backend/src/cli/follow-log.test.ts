import { describe, expect, it } from '@jest/globals'
import { importantLine } from './follow-log.js'

const line = (fields: object) => importantLine(JSON.stringify({ time: 0, ...fields }))

describe('importantLine', () => {
  it('passes on what people should see', () => {
    expect(line({ level: 30, msg: 'reconciled' })).toMatch(/^\d\d:\d\d:\d\d info +reconciled$/)
    expect(line({ level: 40, msg: 'disk is slow', err: { message: 'EIO' } })).toMatch(/warning disk is slow: EIO$/)
    expect(line({ level: 50, msg: 'same', err: { message: 'same' } })).toMatch(/error +same$/)
  })

  it('leaves requests and debugging out, but not failed ones', () => {
    expect(line({ level: 20, msg: 'detail' })).toBeUndefined()
    expect(line({ level: 30, msg: 'request completed', req: {}, res: {} })).toBeUndefined()
    expect(line({ level: 50, msg: 'request failed', req: {}, res: {} })).toContain('request failed')
    expect(importantLine('')).toBeUndefined()
  })

  it('never hides what is no JSON, such as a crash, and makes it harmless', () => {
    expect(importantLine('Error: out of \u001B[31mluck')).toBe('Error: out of luck')
  })
})

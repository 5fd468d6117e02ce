import { describe, expect, it } from '@jest/globals'
import { auditRowOf, auditRowSchema, type NewAuditEntry } from './audit-rows.js'

const entry: NewAuditEntry = {
  actorId: null,
  actorLogin: 'ada',
  action: 'node.start',
  objectType: 'node',
  objectId: null,
  objectName: null,
  address: '192.0.2.1',
  result: 'success',
  code: null,
  requestId: null,
  details: {},
}

describe('an audit row', () => {
  it('is storable whatever the caller hands over: NUL, half surrogates, long texts', () => {
    const row = auditRowOf(
      { ...entry, objectName: 'a\0b\u{D800}c', actorLogin: 'x'.repeat(1000), details: { 'k\0ey': 'v\0\u{DC00}' } },
      new Date(0),
    )
    expect(row.object_name).toBe('a\u{FFFD}b\u{FFFD}c')
    expect(row.actor_login).toHaveLength(300)
    expect(row.details).toBe('{"k\u{FFFD}ey":"v\u{FFFD}\u{FFFD}"}')
    expect(auditRowSchema.parse(JSON.parse(JSON.stringify(row)))).toEqual(row)
  })

  it('says that details were left out when they are too large or no JSON', () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    for (const details of [{ text: 'x'.repeat(9000) }, circular, { big: 1n }]) {
      const row = auditRowOf({ ...entry, details }, new Date(0))
      expect(JSON.parse(row.details)).toEqual({ leftOut: expect.any(String) })
    }
  })

  it('keeps the time that the caller names, else has now', () => {
    expect(auditRowOf(entry, new Date(0)).at).toBe('1970-01-01T00:00:00.000Z')
    expect(auditRowOf({ ...entry, at: '2026-01-02T03:04:05.000Z' }, new Date(0)).at).toBe('2026-01-02T03:04:05.000Z')
  })
})

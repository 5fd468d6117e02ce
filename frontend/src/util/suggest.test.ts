import { describe, expect, it } from '@jest/globals'
import { guestPasswordSchema, nodeNameSchema } from '@domain/node.js'
import { generatePassword, suggestName } from './suggest.js'

describe('suggestName', () => {
  it('answers names that the domain accepts', () => {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      expect(nodeNameSchema.safeParse(suggestName(new Set())).success).toBe(true)
    }
  })

  it('never answers a taken name, even when luck runs out', () => {
    const first = suggestName(new Set(), () => 0)
    expect(suggestName(new Set([first]), () => 0)).toBe('node-1')
    expect(suggestName(new Set([first, 'node-1']), () => 0)).toBe('node-2')
  })
})

describe('generatePassword', () => {
  it('answers three groups without look-alikes', () => {
    const seen = new Set<string>()
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const password = generatePassword((count) => Uint8Array.from({ length: count }, () => Math.random() * 256))
      expect(password).toMatch(/^[a-hj-km-np-x2-9]{4}(-[a-hj-km-np-x2-9]{4}){2}$/)
      expect(guestPasswordSchema.safeParse(password).success).toBe(true)
      seen.add(password)
    }
    expect(seen.size).toBe(100)
  })

  it('throws away bytes that would favour some letters', () => {
    const bytes = [255, 255, ...Array.from({ length: 14 }, () => 0)]
    expect(generatePassword(() => Uint8Array.from(bytes))).toBe('aaaa-aaaa-aaaa')
  })
})

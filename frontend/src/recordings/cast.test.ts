import { describe, expect, it } from '@jest/globals'
import { parseCast, searchCast } from './cast.js'

const cast = (...events: [number, string, string][]) =>
  parseCast([{ version: 2, width: 80, height: 24 }, ...events].map((line) => JSON.stringify(line)).join('\n'))

describe('a recorded terminal', () => {
  it('is read up to where it was cut off', () => {
    const text =
      '{"version":2,"width":100,"height":30}\n[0.5,"o","hello"]\n[1,"r","90x20"]\n[2,"m","ada came"]\n[3,"o","tor'
    expect(parseCast(text)).toEqual({
      width: 100,
      height: 30,
      durationSeconds: 2,
      events: [
        { at: 0.5, code: 'o', data: 'hello' },
        { at: 1, code: 'r', columns: 90, rows: 20 },
        { at: 2, code: 'm', data: 'ada came' },
      ],
    })
    expect(() => parseCast('<html>')).toThrow()
    expect(() => parseCast('{"version":1}')).toThrow('no asciicast')
  })
})

describe('the search in a recorded terminal', () => {
  it('finds a text in whatever pieces and colours it came, with its line and the time when all of it was there', () => {
    const recorded = cast(
      [1, 'o', '$ sudo apt in'],
      [2, 'o', '\u001B[1;3'],
      [3, 'o', '2mstall\u001B[0m nginx\r\nReading…'],
    )
    expect(searchCast(recorded, 'APT install nginx')).toEqual([
      { at: 3, line: '$ sudo apt install nginx', from: 7, to: 24 },
    ])
    expect(searchCast(recorded, 'stall')).toMatchObject([{ at: 3 }])
    expect(searchCast(recorded, 'nothing')).toEqual([])
    expect(searchCast(recorded, '')).toEqual([])
  })

  it('does not find what was taken back, or what is in a title', () => {
    const recorded = cast([1, 'o', 'rm -rf\b\b\bls\r\n'], [2, 'o', '\u001B]0;secret title\u0007prompt'])
    expect(searchCast(recorded, '-rf')).toEqual([])
    expect(searchCast(recorded, 'rm ls')).toHaveLength(1)
    expect(searchCast(recorded, 'secret')).toEqual([])
    expect(searchCast(recorded, 'prompt')).toMatchObject([{ at: 2 }])
  })

  it('ends with a long line and with many places', () => {
    const recorded = cast([1, 'o', 'x'.repeat(5000)], [2, 'o', `${'y'.repeat(1000)}here`])
    expect(searchCast(recorded, 'x')).toHaveLength(500)
    const [here] = searchCast(recorded, 'here')
    expect(here?.line.slice(here.from, here.to)).toBe('here')
    expect(here?.line.length).toBeLessThanOrEqual(200)
  })
})

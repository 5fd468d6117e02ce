import { describe, expect, it } from '@jest/globals'
import { HOSTILE_IMAGES } from '../support/hostile-images.js'
import { runFuzzedHttp } from '../faults/fuzz-http.js'
import { runFuzzedSockets } from '../faults/fuzz-sockets.js'
import { runHostileImages } from '../faults/hostile-images.js'

/** The short form of what `npm run faults` does at full size; the seed is that of its report. */
const SEED = 20_261_121
const log = () => undefined

describe('strangers’ input', () => {
  it('as images: opens nothing outside, connects to nobody, breaks no limit, is judged within 3 s', async () => {
    const result = await runHostileImages({ seed: SEED, count: 100, log })
    expect(result.failures).toEqual([])
    expect(result).toMatchObject({ ok: true, tried: HOSTILE_IMAGES.length + 100, outsideOpens: 0, connections: 0 })
    expect(result).toMatchObject({ overruns: 0, slow: 0 })
    expect(result.crafted).toBeGreaterThanOrEqual(60)
    expect(result.toolsRun['qemu-img']).toBeGreaterThan(10) // some pass our own check and meet the converter
    expect(result.verdicts['imported']).toBeGreaterThan(10)
  })

  it('as HTTP requests: is never the server’s fault, always answered, in the shape of an error', async () => {
    const result = await runFuzzedHttp({ seed: SEED, count: 2000, log })
    expect(result.failures).toEqual([])
    expect(result).toMatchObject({ ok: true, tried: 2000, undocumented: 0, shapeless: 0, unanswered: 0, exits: 0 })
    expect(result.statuses['404 not_found']).toBeGreaterThan(100)
  })

  it('as WebSocket upgrades and messages: opens no console, ends no process', async () => {
    const result = await runFuzzedSockets({ seed: SEED, count: 1000, log })
    expect(result.failures).toEqual([])
    expect(result).toMatchObject({ ok: true, undocumented: 0, unanswered: 0, exits: 0, wronglyOpened: 0 })
    expect(result.tried).toBeGreaterThanOrEqual(1000)
  })
})

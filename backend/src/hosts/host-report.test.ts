import { describe, expect, it } from '@jest/globals'
import { parseMeminfo, readHostFigures } from './host-report.js'

describe("the host's figures", () => {
  it('come from meminfo, in MiB', () => {
    const text = 'MemTotal:       24682452 kB\nMemFree:          100 kB\nMemAvailable:   24000000 kB\n'
    expect(parseMeminfo(text)).toEqual({ totalMib: 24_103, availableMib: 23_437 })
    expect(parseMeminfo('')).toEqual({ totalMib: 0, availableMib: 0 })
  })

  it('are sound on this machine', async () => {
    const figures = await readHostFigures()
    expect(figures.cpus).toBeGreaterThan(0)
    expect(figures.freeMemoryMib).toBeGreaterThan(0)
    expect(figures.memoryMib).toBeGreaterThanOrEqual(figures.freeMemoryMib)
  })
})

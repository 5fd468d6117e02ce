import { describe, expect, it } from '@jest/globals'
import { debianProgress } from './build-progress.js'

const LINES = [
  'I: automatically chosen format: tar',
  'I: running apt-get update...',
  'Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]',
  'I: downloading packages with apt...',
  'I: extracting archives...',
  'I: installing essential packages...',
  ...Array.from({ length: 80 }, (_unused, index) => `Setting up base-${index} (1.0) ...`),
  'I: installing remaining packages inside the chroot...',
  ...Array.from({ length: 200 }, (_unused, index) => `Setting up more-${index} (1.0) ...`),
  'I: cleaning package lists and apt cache...',
  'I: creating tarball...',
  'I: success in 17.0 seconds',
]

describe('the progress of mmdebstrap', () => {
  it('only grows, stays below one, and names each stage', () => {
    const progress = debianProgress(20)
    const steps = LINES.map((line) => progress(line)).filter((step) => step !== undefined)
    const figures = steps.map((step) => step.progress)
    expect(figures).toEqual(figures.toSorted((a, b) => a - b))
    expect(figures.at(-1)).toBeLessThan(1)
    expect([...new Set(steps.map((step) => step.text))]).toEqual([
      'Fetching the package lists',
      'Downloading packages',
      'Unpacking the base system',
      'Installing the base system',
      'Installing further packages',
      'Tidying up',
      'Packing the system',
    ])
  })

  it('moves with each package', () => {
    const progress = debianProgress(20)
    const [before, after] = ['I: installing essential packages...', 'Setting up bash (5) ...'].map((l) => progress(l))
    expect(after?.text).toBe(before?.text)
    expect(after?.progress).toBeGreaterThan(before?.progress ?? 1)
  })

  it('says nothing before the first stage, nor on other lines', () => {
    const progress = debianProgress(20)
    expect(progress('Setting up something early')).toBeUndefined()
    progress('I: extracting archives...')
    expect(progress('Selecting previously unselected package x.')).toBeUndefined()
  })
})

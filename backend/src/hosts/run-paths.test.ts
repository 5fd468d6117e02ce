import { describe, expect, it } from '@jest/globals'
import { layoutOf } from '../domain/layout.js'
import { pathInQemu, requireShortPaths, runPathsOf } from './run-paths.js'

describe('the places of a run', () => {
  const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'

  it("are the backend's folder with the record, and in it QEMU's with the sockets", () => {
    const paths = runPathsOf(layoutOf('/data'), ID)
    expect(paths.launch).toBe('/data/run/0f8fad5bd9cb/launch.json')
    expect(paths.qmp).toBe('/data/run/0f8fad5bd9cb/io/qmp')
    for (const own of [paths.launch, paths.qemuLog, paths.pid]) expect(own.startsWith(`${paths.io}/`)).toBe(false)
    for (const qemus of [paths.qmp, paths.serial, paths.vnc, paths.serialLog, paths.seed]) {
      expect(qemus.startsWith(`${paths.io}/`)).toBe(true)
    }
  })

  it.each([
    ['/data/overlays/x', 'overlays/x'],
    ['/data', '/data'],
    ['/database/x', '/database/x'],
    ['/images/x', '/images/x'],
    ['/', '/'],
  ])('are given to QEMU relative below its folder: %s is %s', (path, seen) => {
    expect(pathInQemu('/data', path)).toBe(seen)
  })

  it('must leave room for the name of a socket', () => {
    expect(() => requireShortPaths(layoutOf(`/${'d'.repeat(60)}`))).not.toThrow()
    expect(() => requireShortPaths(layoutOf(`/${'d'.repeat(90)}`))).toThrow(/too long/)
    expect(() => requireShortPaths(layoutOf(`/${'ü'.repeat(45)}`))).toThrow(/too long/)
  })
})

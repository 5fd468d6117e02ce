import { describe, expect, it } from '@jest/globals'
import { asUuid, fileName, parseOldState } from './old-records.js'

const ID = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'
const parse = (value: unknown) => parseOldState(JSON.stringify(value), 'old.json')

describe('an old state file', () => {
  it('gives nodes, whatever their records lack', () => {
    const read = parse({ version: '1.0.0', lastUpdated: 'yesterday', nodes: [{ id: ID }] })
    expect(read).toEqual({
      ours: false,
      skipped: [],
      nodes: [
        expect.objectContaining({ id: ID, name: '', osType: null, diskFile: null, memoryMib: null, createdAt: null }),
      ],
    })
  })

  it('takes only file names from paths, and only those of disks', () => {
    const overlayPath = `../overlays/node_${ID}.qcow2`
    const read = parse({ nodes: [{ id: ID, name: 'web', overlayPath, resources: { ram: '512', cpus: 2 } }] })
    expect(read).toMatchObject({ nodes: [{ diskFile: `node_${ID}.qcow2`, memoryMib: 512, cpus: 2 }] })
    expect(fileName('../../etc/shadow')).toBeNull()
    expect(fileName('/overlays/..')).toBeNull()
  })

  it('says which records have no id', () => {
    expect(parse({ nodes: [{ name: 'lost' }, 7] })).toMatchObject({
      nodes: [],
      skipped: ['record 1 of old.json has no id', 'record 2 of old.json has no id'],
    })
  })

  it('is told from the state of the present SandLabX', () => {
    expect(parse({ schema: 3, revision: 1, sha256: 'x', data: {} })).toEqual({ ours: true })
  })

  it.each([
    ['empty', '', 'it is empty'],
    ['cut off', '{"version":"1.0.0","nodes":[{"id":"a', 'cut off'],
    ['something else', '[]', 'no list of nodes'],
  ])('is refused with the next step when it is %s', (_, content, reason) => {
    expect(() => parseOldState(content, 'old.json')).toThrow(reason)
    expect(() => parseOldState(content, 'old.json')).toThrow(
      expect.objectContaining({ code: 'state_unreadable', hint: expect.stringContaining('Nothing was touched') }),
    )
  })
})

describe('an old id', () => {
  it('stays when it is a UUID, and else becomes the same one each time', () => {
    expect(asUuid('node', ID.toUpperCase())).toBe(ID)
    expect(asUuid('node', '17')).toBe(asUuid('node', '17'))
    expect(asUuid('node', '17')).not.toBe(asUuid('user', '17'))
    expect(asUuid('node', '17')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

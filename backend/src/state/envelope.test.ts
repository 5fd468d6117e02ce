import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { emptyState, STATE_SCHEMA } from '../domain/state.js'
import { imageRecord, nodeRecord, operationRecord } from '../../test/state/fixtures/records.js'
import { freezeTree } from './draft.js'
import { createEncoder, decodeEnvelope, type Reading, type Snapshot } from './envelope.js'

const snapshot = freezeTree({
  revision: 7,
  data: {
    nodes: [nodeRecord(1), nodeRecord(2, { name: 'zwei' })],
    images: [imageRecord('tiny', { title: 'Größe "äöü" 🐧' })],
    layers: [],
    snapshots: [],
    settings: emptyState().settings,
    operations: [operationRecord(1)],
  },
})

const encodeEnvelope = (one: Snapshot) => createEncoder()(one)

function reasonOf(reading: Reading): string {
  return reading.kind === 'damaged' ? reading.reason : reading.kind
}

function envelopeOf(data: unknown, changes: Record<string, unknown> = {}): string {
  const sha256 = createHash('sha256').update(JSON.stringify(data)).digest('hex')
  return JSON.stringify({ schema: STATE_SCHEMA, revision: 1, sha256, data, ...changes })
}

describe('the state envelope', () => {
  it('gives back what was written', async () => {
    const read = decodeEnvelope((await encodeEnvelope(snapshot)).toString())
    expect(read).toEqual({ kind: 'good', schema: STATE_SCHEMA, snapshot })
  })

  it('is one JSON object whose checksum is the sha256 of its data', async () => {
    for (const data of [snapshot.data, emptyState()]) {
      const envelope: unknown = JSON.parse((await encodeEnvelope({ revision: 3, data })).toString())
      expect(envelope).toEqual(JSON.parse(envelopeOf(data, { revision: 3 })))
    }
  })

  it('is the same whether its records were written before or not, wherever they stand now', async () => {
    const encode = createEncoder()
    const records = Array.from({ length: 6 }, (_, index) => freezeTree(nodeRecord(index)))
    const orders = [[0, 1, 2], [0, 1, 2, 3], [1, 2, 3], [3, 2, 1], [], [5, 4, 3, 2, 1, 0], [0], [0, 5]]
    for (const order of orders) {
      const data = { ...emptyState(), nodes: order.map((index) => records[index] ?? nodeRecord(0)) }
      expect((await encode({ revision: 1, data })).toString()).toBe(`${envelopeOf(data)}\n`)
    }
  })

  it('is damaged when it is cut off anywhere', async () => {
    const bytes = await encodeEnvelope(snapshot)
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * tenth) / 10)).toString()
      expect(reasonOf(decodeEnvelope(cut))).toMatch(tenth === 0 ? 'it is empty' : 'it is cut off or not JSON')
    }
  })

  it.each([
    ['null', 'null'],
    ['an empty list', '[]'],
    ['a number', '5'],
    ['the data alone', JSON.stringify(emptyState())],
    ['no data', envelopeOf({}, { data: undefined })],
  ])('is damaged when it is %s', (_, text) => {
    expect(reasonOf(decodeEnvelope(text))).toMatch(/not a state file|checksum is wrong/)
  })

  it('is damaged when any character of the data is another one', async () => {
    const text = (await encodeEnvelope(snapshot)).toString()
    const start = text.indexOf('"data":') + '"data":'.length
    const step = Math.ceil((text.length - start) / 200)
    for (let at = start; at < text.length - 2; at += step) {
      const changed = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`
      expect(decodeEnvelope(changed).kind).toBe('damaged')
    }
  })

  it('is damaged, with the place named, when a record is not as it should be', () => {
    const data = { ...emptyState(), nodes: [{ ...nodeRecord(1), cpus: 0 }] }
    expect(reasonOf(decodeEnvelope(envelopeOf(data)))).toContain('nodes.0.cpus')
  })

  it('is newer, whatever else it is, when its schema is', () => {
    const newer = envelopeOf(emptyState(), { schema: STATE_SCHEMA + 1, sha256: 'of another kind' })
    expect(decodeEnvelope(newer)).toEqual({ kind: 'newer', schema: STATE_SCHEMA + 1 })
  })
})

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdSchema, userIdSchema } from '../../domain/ids.js'
import { layoutOf, type Layout, recordingDataFile, recordingRecordFile, recordingsDir } from '../../domain/layout.js'
import { type RecordingCut, recordingSchema } from '../../domain/recording.js'
import { createLog } from '../../system/log.js'
import type { ConsoleSession } from '../session.js'
import { createRecordings, type RecordingLimits, type Recordings } from './recordings.js'

const NODE = nodeIdSchema.parse(randomUUID())
const ADA = { nodeId: NODE, mode: 'control', subject: { login: 'ada' } } as ConsoleSession // what a recording asks of one
let layout: Layout
let clock = Date.parse('2026-11-21T08:00:00Z')
let recordings: Recordings
let cuts: RecordingCut[]

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'sbx-rec-')))
  cuts = []
  recordings = await open()
})
afterEach(async () => {
  await recordings.close()
  await rm(join(layout.state, '..'), { recursive: true, force: true })
})

function open(limits: Partial<RecordingLimits> = {}, recording: boolean | null = null): Promise<Recordings> {
  const node = { name: 'web', ownerId: userIdSchema.parse(randomUUID()), recording }
  return createRecordings({
    layout,
    log: createLog('silent'),
    nodeOf: (id) => (id === NODE ? node : undefined),
    byDefault: () => true,
    now: () => new Date((clock += 1000)),
    limits: { keepFreeBytes: 0, ...limits },
  })
}

const onCut = (cut: RecordingCut) => void cuts.push(cut)
const kept = async (id: string) =>
  recordingSchema.parse(JSON.parse(await readFile(recordingRecordFile(layout, id), 'utf8')))

describe('recordings', () => {
  it('are wanted as the node says, else as the lab says, and never of a node that is gone', async () => {
    expect(recordings.areWanted(NODE)).toBe(true)
    expect(recordings.areWanted(nodeIdSchema.parse(randomUUID()))).toBe(false)
    const own = await open({}, false)
    expect(own.areWanted(NODE)).toBe(false)
    await own.close()
  })

  it('are whole on the disk when the backend has closed, and known to the next one', async () => {
    const text = recordings.beginText(NODE, 'serial', onCut)
    text.joined(ADA)
    text.tape.output(Buffer.from('hello'))
    const screen = recordings.beginScreen(ADA, onCut)
    screen.write('4.size,1.0,3.640,3.480;')
    screen.end() // and at once, with that end under way:
    await recordings.close()
    const [one, other] = recordings.list(NODE)
    for (const { id, kind } of [one!, other!]) {
      const onDisk = await kept(id)
      expect(onDisk).toMatchObject({ nodeName: 'web', cut: null, people: [{ login: 'ada' }] })
      expect(onDisk.endedAt).not.toBeNull()
      const data = await stat(recordingDataFile(layout, id, kind === 'screen' ? 'guac' : 'cast'))
      expect(data.size).toBe(onDisk.sizeBytes)
      expect(data.mode & 0o777).toBe(0o600)
    }
    const next = await open()
    expect(next.list()).toEqual(recordings.list())
    await next.close()
  })

  it('leave nothing where nothing was ever shown', async () => {
    recordings.beginScreen(ADA, onCut).end()
    await recordings.close()
    expect(recordings.list()).toEqual([])
    expect(await readdir(recordingsDir(layout))).toEqual([])
  })

  it('stop where they are too large, with what there was, and say so once', async () => {
    const small = await open({ textBytes: 500 })
    const { tape } = small.beginText(NODE, 'serial', onCut)
    for (let at = 0; at < 20; at += 1) tape.output(Buffer.from('x'.repeat(50)))
    await small.close()
    expect(cuts).toEqual(['too-large'])
    const [one] = small.list(NODE)
    expect(one).toMatchObject({ cut: 'too-large' })
    expect(one!.sizeBytes).toBeGreaterThan(0)
  })

  it('do not begin where the disk is to be kept free', async () => {
    const full = await open({ keepFreeBytes: Number.MAX_SAFE_INTEGER })
    await new Promise<void>((resolve) => {
      full.beginText(NODE, 'serial', (cut) => {
        cuts.push(cut)
        resolve()
      })
    })
    await full.close()
    expect(cuts).toEqual(['no-space'])
  })

  it('are removed by hand and by age, and never while they go on', async () => {
    const going = recordings.beginText(NODE, 'serial', onCut)
    const { id } = recordings.list()[0]!
    await expect(recordings.remove(id)).rejects.toMatchObject({ code: 'busy' })
    expect(await recordings.purge(new Date(clock + 1e9))).toBe(0)
    going.end()
    recordings.beginText(NODE, 'ssh', onCut).end()
    await recordings.close()
    await recordings.remove(id)
    await expect(recordings.remove(id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await recordings.purge(new Date(clock + 1e9))).toBe(1)
    expect(await readdir(recordingsDir(layout))).toEqual([])
  })
})

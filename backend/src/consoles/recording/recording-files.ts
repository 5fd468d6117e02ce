import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Layout, recordingDataFile, recordingRecordFile, recordingsDir } from '../../domain/layout.js'
import { type Recording, recordingFormat, recordingSchema } from '../../domain/recording.js'
import { errnoOf, fsyncDirectory, writeFileDurably } from '../../system/durable-file.js'
import type { Logger } from '../../system/log.js'

const RECORD = /^([0-9a-f-]{36})\.json$/
const NEWLINE = 0x0a
/** A line of a recorded terminal is shorter than this. */
const LONGEST_LINE_BYTES = 1024 * 1024

export const dataFileOf = (layout: Layout, { id, kind }: Pick<Recording, 'id' | 'kind'>) =>
  recordingDataFile(layout, id, recordingFormat(kind))

export async function saveRecord(layout: Layout, recording: Recording): Promise<void> {
  await writeFileDurably(recordingRecordFile(layout, recording.id), `${JSON.stringify(recording)}\n`)
}

/** The data first: a record without data is swept at the next start, and data without a record, too. */
export async function removeRecording(layout: Layout, recording: Recording): Promise<void> {
  await rm(dataFileOf(layout, recording), { force: true })
  await rm(recordingRecordFile(layout, recording.id), { force: true })
  await fsyncDirectory(recordingsDir(layout))
}

/** Its length now; undefined when it is not there. */
export async function dataBytes(layout: Layout, recording: Recording): Promise<number | undefined> {
  return stat(dataFileOf(layout, recording)).then(
    ({ size }) => size,
    () => undefined,
  )
}

/**
 * All that are there. Those that a killed backend has left open end at their last byte, and a line that the kill cut off
 * is taken away. What belongs to no recording is removed: it was begun or deleted halfway.
 */
export async function openRecordings(layout: Layout, log: Logger): Promise<Recording[]> {
  const folder = recordingsDir(layout)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const found: Recording[] = []
  const known = new Set<string>()
  const names = await readdir(folder)
  for (const name of names.filter((one) => RECORD.test(one))) {
    const recording = await readRecord(layout, join(folder, name), log)
    if (!recording) continue
    found.push(recording)
    known.add(name).add(`${recording.id}.${recordingFormat(recording.kind)}`)
  }
  for (const name of names.filter((one) => !known.has(one))) {
    log.info({ file: name }, 'what was left of a recording is removed')
    await rm(join(folder, name), { force: true })
  }
  return found
}

async function readRecord(layout: Layout, file: string, log: Logger): Promise<Recording | undefined> {
  let recording: Recording
  try {
    recording = recordingSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    log.warn({ err: error, file }, 'the record of a recording can not be read')
    return undefined
  }
  if (recording.endedAt !== null) return recording
  const data = dataFileOf(layout, recording)
  const last = await stat(data).catch(() => undefined)
  if (!last) return undefined
  if (recordingFormat(recording.kind) === 'cast') await dropTornLine(data, last.size)
  const ended = { ...recording, endedAt: last.mtime.toISOString(), sizeBytes: (await stat(data)).size }
  await saveRecord(layout, ended)
  return ended
}

async function dropTornLine(file: string, size: number): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    const tail = Buffer.alloc(Math.min(size, LONGEST_LINE_BYTES))
    const { bytesRead } = await handle.read(tail, 0, tail.length, size - tail.length)
    const end = tail.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (end >= 0 && end + 1 < bytesRead) await handle.truncate(size - bytesRead + end + 1)
  } catch (error) {
    if (errnoOf(error) === undefined) throw error // it is played all the same, but for its last line
  } finally {
    await handle.close()
  }
}

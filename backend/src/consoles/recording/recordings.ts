import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { ConsoleKind } from '../../domain/console.js'
import { SandlabError } from '../../domain/error.js'
import type { NodeId } from '../../domain/ids.js'
import { type Layout, recordingsDir } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import { type Recording, type RecordingCut, recordingIdSchema } from '../../domain/recording.js'
import { freeSpace } from '../../storage/space.js'
import type { Logger } from '../../system/log.js'
import type { ConsoleSession } from '../session.js'
import { dataBytes, dataFileOf, openRecordings, removeRecording, saveRecord } from './recording-files.js'
import { overShare, tooOld } from './recording-retention.js'
import { createTapeFile } from './tape-file.js'
import { createTextTape, type TextTape } from './text-tape.js'

/** What consoles have shown, where an instructor asked for it. */
export interface Recordings {
  /** Whether consoles of this node are recorded, as it is set now. */
  areWanted(nodeId: NodeId): boolean
  /** From now on. `onCut`: it stopped before its console did; who is there must be told. */
  beginText(nodeId: NodeId, kind: ConsoleKind, onCut: (cut: RecordingCut) => void): RunningText
  /** What a viewer's screen shows: instructions as `ScreenInstructions` lets them through. */
  beginScreen(session: ConsoleSession, onCut: (cut: RecordingCut) => void): RunningScreen
  /** Newest first; of one node, or all. */
  list(nodeId?: string): Recording[]
  /** Throws `not_found`. */
  get(id: string): Recording
  /** What there is of it now. Throws `not_found`. */
  read(id: string): Promise<{ recording: Recording; sizeBytes: number; stream: Readable }>
  /** Throws `not_found`, and `busy` while it goes on. */
  remove(id: string): Promise<void>
  /** Removes what is older, and of each node the oldest above its share of the room. Resolves with how many. */
  purge(endedBefore: Date | null): Promise<number>
  /** Ends what goes on. */
  close(): Promise<void>
}

export interface RunningText {
  readonly tape: TextTape
  joined(session: ConsoleSession): void
  /** Nobody looks any more, or it is not wanted any more. */
  end(): void
}

export interface RunningScreen {
  write(instructions: string): void
  end(): void
}

export interface RecordingsDependencies {
  layout: Layout
  log: Logger
  nodeOf: (nodeId: NodeId) => Pick<NodeRecord, 'name' | 'ownerId' | 'recording'> | undefined
  /** What is set for the whole lab. */
  byDefault: () => boolean
  now: () => Date
  limits?: Partial<RecordingLimits>
}

export interface RecordingLimits {
  textBytes: number
  screenBytes: number
  /** Of one node's recordings together. */
  nodeBytes: number
  /** Recordings leave this much free on the disk that they share with the state. */
  keepFreeBytes: number
}

const MIB = 1024 ** 2
const LIMITS: RecordingLimits = {
  textBytes: 64 * MIB,
  screenBytes: 512 * MIB,
  nodeBytes: 2048 * MIB,
  keepFreeBytes: 1024 * MIB,
}
const MAX_PEOPLE = 50
const LOOK_EVERY_MS = 5000

interface Running {
  recording: Recording
  tape: { end(): Promise<void> } | undefined
  cut: (why: RecordingCut) => void
  /** Records are written one after another. */
  saved: Promise<void>
}

export async function createRecordings(dependencies: RecordingsDependencies): Promise<Recordings> {
  const { layout, log, nodeOf, byDefault, now } = dependencies
  const limits = { ...LIMITS, ...dependencies.limits }
  const all = new Map<string, Recording>()
  for (const recording of await openRecordings(layout, log)) all.set(recording.id, recording)
  const running = new Map<string, Running>()
  const ending = new Set<Promise<void>>()
  const looking = setInterval(() => void look(), LOOK_EVERY_MS)
  looking.unref()

  function begin(nodeId: NodeId, kind: ConsoleKind, onCut: (cut: RecordingCut) => void): Running {
    const node = nodeOf(nodeId)
    const recording: Recording = {
      id: recordingIdSchema.parse(randomUUID()),
      nodeId,
      nodeName: node?.name ?? '',
      ownerId: node?.ownerId ?? noOwner(nodeId),
      kind,
      startedAt: now().toISOString(),
      endedAt: null,
      sizeBytes: 0,
      cut: null,
      people: [],
    }
    const one: Running = {
      recording,
      tape: undefined,
      cut: (why) => cutOff(one, why, onCut),
      saved: save(recording),
    }
    all.set(recording.id, recording)
    running.set(recording.id, one)
    void look() // where there is no room, it ends before it has begun
    return one
  }

  function save(recording: Recording): Promise<void> {
    return saveRecord(layout, recording).catch((error: unknown) => {
      log.error({ err: error, recording: recording.id }, 'the record of a recording could not be written')
    })
  }

  function change(one: Running, parts: Partial<Recording>): void {
    one.recording = { ...one.recording, ...parts }
    all.set(one.recording.id, one.recording)
    const { recording } = one
    one.saved = one.saved.then(() => save(recording))
  }

  function cutOff(one: Running, cut: RecordingCut, tell: (cut: RecordingCut) => void): void {
    if (one.recording.cut !== null || !running.has(one.recording.id)) return
    log.warn({ recording: one.recording.id, nodeId: one.recording.nodeId, cut }, 'a recording stopped early')
    change(one, { cut })
    tell(cut)
    end(one)
  }

  function end(one: Running): void {
    if (!running.delete(one.recording.id)) return
    const done = finish(one)
      .catch((error: unknown) => log.error({ err: error, recording: one.recording.id }, 'a recording ended badly'))
      .finally(() => ending.delete(done))
    ending.add(done)
  }

  async function finish(one: Running): Promise<void> {
    await one.tape?.end()
    const sizeBytes = (await dataBytes(layout, one.recording)) ?? 0
    change(one, { endedAt: now().toISOString(), sizeBytes })
    await one.saved
    if (sizeBytes === 0) await forget(one.recording) // nothing was ever shown
  }

  function joined(one: Running, { subject, mode }: ConsoleSession): void {
    const { people } = one.recording
    if (people.length >= MAX_PEOPLE) return
    change(one, { people: [...people, { login: subject.login, mode, at: now().toISOString() }] })
  }

  /** How large they are, and whether there is still room. */
  async function look(): Promise<void> {
    if (running.size === 0) return
    const free = await freeSpace(recordingsDir(layout)).catch(() => undefined)
    for (const one of running.values()) {
      const sizeBytes = (await dataBytes(layout, one.recording)) ?? 0
      if (!running.has(one.recording.id)) continue
      all.set(one.recording.id, (one.recording = { ...one.recording, sizeBytes }))
      if (free && free.freeBytes < limits.keepFreeBytes) one.cut('no-space')
    }
  }

  async function forget(recording: Recording): Promise<void> {
    all.delete(recording.id)
    await removeRecording(layout, recording)
  }

  function get(id: string): Recording {
    const recording = all.get(id)
    if (!recording) throw new SandlabError('not_found', `There is no recording ${id}.`)
    return recording
  }

  const newestFirst = (some: Iterable<Recording>) =>
    [...some].toSorted((one, other) => other.startedAt.localeCompare(one.startedAt))

  return {
    areWanted(nodeId) {
      const node = nodeOf(nodeId)
      return node !== undefined && (node.recording ?? byDefault())
    },
    beginText(nodeId, kind, onCut) {
      const one = begin(nodeId, kind, onCut)
      const { nodeName, startedAt } = one.recording
      const about = { title: nodeName, startedAt: new Date(startedAt), maxBytes: limits.textBytes }
      const tape = createTextTape({ file: dataFileOf(layout, one.recording), onCut: one.cut, ...about })
      one.tape = tape
      return { tape, joined: (session) => joined(one, session), end: () => end(one) }
    },
    beginScreen(session, onCut) {
      const one = begin(session.nodeId, 'screen', onCut)
      const file = dataFileOf(layout, one.recording)
      const tape = createTapeFile({ file, maxBytes: limits.screenBytes, onCut: one.cut })
      one.tape = tape
      joined(one, session)
      return { write: (instructions) => tape.write(instructions), end: () => end(one) }
    },
    list(nodeId) {
      return newestFirst([...all.values()].filter((recording) => nodeId === undefined || recording.nodeId === nodeId))
    },
    get,
    async read(id) {
      const recording = get(id)
      const sizeBytes = await dataBytes(layout, recording)
      if (sizeBytes === undefined || sizeBytes === 0) throw new SandlabError('not_found', 'This recording is empty.')
      // To the byte that was there now: it may still grow.
      return { recording, sizeBytes, stream: createReadStream(dataFileOf(layout, recording), { end: sizeBytes - 1 }) }
    },
    async remove(id) {
      const recording = get(id)
      if (running.has(id)) {
        throw new SandlabError('busy', `${recording.nodeName} is still being recorded.`, {
          hint: 'It ends when its last console is closed, or when recording is switched off.',
        })
      }
      await forget(recording)
    },
    async purge(endedBefore) {
      const old = tooOld([...all.values()], endedBefore)
      const over = overShare(newestFirst(all.values()), limits.nodeBytes)
      const going = new Set([...old, ...over].filter(({ id }) => !running.has(id)))
      for (const recording of going) await forget(recording)
      return going.size
    },
    async close() {
      clearInterval(looking)
      for (const one of running.values()) end(one)
      await Promise.all(ending)
    },
  }
}

/** The node went while its console was opened. */
function noOwner(nodeId: NodeId): never {
  throw new SandlabError('not_found', `There is no node ${nodeId}.`)
}

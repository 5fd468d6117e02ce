import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { link, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isSandlabError } from '../../src/domain/error.js'
import { imageFile, layoutOf } from '../../src/domain/layout.js'
import { openStore } from '../../src/state/store.js'
import { createLog } from '../../src/system/log.js'
import { about, deleteImage, importImage, type ImageRoom } from '../support/image-room.js'

/** What the watched process is given, as JSON: a data folder, files to import, and where accepted ones are kept. */
export interface ImportJobs {
  data: string
  kept: string
  results: string
  /** Opened on purpose, so that a trace that sees nothing is noticed. */
  decoy: string
  files: { index: number; path: string }[]
}

export interface ImportOutcome {
  index: number
  /** `imported`, or the code of the failure and what was found. */
  verdict: string
  ms: number
  /** Left behind in `images/` after a refusal; must be empty. */
  left: string[]
}

export interface ImportResults {
  outcomes: ImportOutcome[]
  /** Most memory that this process held at once; bytes. */
  peakMemoryBytes: number
}

/** Between the opens of two files: no such path is there, but the trace shows who asked when. */
export const MARK = '/sandlabx-trace/'

async function main(jobsFile: string): Promise<void> {
  const jobs = JSON.parse(await readFile(jobsFile, 'utf8')) as ImportJobs // written by hostile-images.ts
  const layout = layoutOf(jobs.data)
  for (const folder of [layout.images, layout.overlays, layout.state, layout.run]) {
    await mkdir(folder, { recursive: true })
  }
  const log = createLog('silent')
  const { store } = await openStore({ layout, log })
  const outcomes: ImportOutcome[] = []
  for (const { index, path } of jobs.files) {
    mark(String(index))
    outcomes.push(await importOne({ layout, store, log }, jobs.kept, index, path))
  }
  await sing(jobs.decoy)
  mark('end')
  await store.close()
  const results: ImportResults = { outcomes, peakMemoryBytes: process.resourceUsage().maxRSS * 1024 }
  await writeFile(jobs.results, JSON.stringify(results))
}

function mark(name: string): void {
  existsSync(MARK + name)
}

/** The canary: an open and a connection that the trace must show. */
async function sing(decoy: string): Promise<void> {
  mark('canary')
  await readFile(decoy)
  const socket = connect(9, '127.0.0.1') // in an empty network nobody answers
  await new Promise((resolve) => socket.once('error', resolve))
}

async function importOne(
  room: Pick<ImageRoom, 'layout' | 'store' | 'log'>,
  kept: string,
  index: number,
  path: string,
): Promise<ImportOutcome> {
  const id = `image-${index}`
  const began = performance.now()
  let verdict = 'imported'
  try {
    await importImage({ ...room, source: { path, consume: false }, about: about(id) })
  } catch (error) {
    verdict = verdictOf(error)
  }
  const ms = performance.now() - began
  if (verdict === 'imported') {
    await link(imageFile(room.layout, `${id}.qcow2`), join(kept, String(index)))
    await deleteImage({ ...room, id })
  }
  return { index, verdict, ms, left: await filesIn(room.layout.images) }
}

function verdictOf(error: unknown): string {
  if (!isSandlabError(error)) return `unexpected: ${String(error).slice(0, 300)}`
  const found = error.details?.['found']
  if (typeof found !== 'string') return error.code
  return `${error.code}: ${found.slice(0, 60)}`
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}

const [, , jobsFile] = process.argv
if (process.argv[1] === import.meta.filename && jobsFile !== undefined) await main(jobsFile)

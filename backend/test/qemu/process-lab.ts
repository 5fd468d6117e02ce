import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdSchema, type NodeId } from '../../src/domain/ids.js'
import { layoutOf, type Layout } from '../../src/domain/layout.js'
import type { EngineNode, NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { createProcessEngine, type ProcessEngineDependencies } from '../../src/hosts/process-engine.js'
import { runPathsOf, type RunPaths } from '../../src/hosts/run-paths.js'
import { createLog } from '../../src/system/log.js'
import { specOver } from '../support/node-spec.js'
import { makeTinyImage, type TinyImage } from '../support/tiny-guest.js'

/** A data folder with a bootable image, and engines over it. */
export interface ProcessLab {
  layout: Layout
  dataDir: string
  image: TinyImage
  /** Opens an engine; an earlier one of the same lab must be closed first. */
  open(changes?: Partial<ProcessEngineDependencies>): Promise<NodeEngine>
  newSpec(changes?: Partial<NodeSpec>): NodeSpec
  paths(id: NodeId): RunPaths
  /** Ends every QEMU that was started here, closes the engine, removes the folder. */
  close(): Promise<void>
}

export interface ProcessLabOptions {
  /** Default: a fresh folder that only its owner may enter, as mktemp makes them. */
  dataDir?: string
  sizeMib?: number
}

/** Quick looks, so that tests of silence take no minutes; the promised 2 s are the defaults' business. */
const TIMINGS = { heartbeat: 200, qmpCommand: 1000, powerButton: 200, quit: 3000, signal: 1500 }

export async function createProcessLab(options: ProcessLabOptions = {}): Promise<ProcessLab> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sbx-')))
  const layout = layoutOf(dataDir)
  await mkdir(layout.overlays, { recursive: true })
  const image = await makeTinyImage(layout, { sizeMib: options.sizeMib ?? 16 })
  let engine: NodeEngine | undefined
  return {
    layout,
    dataDir,
    image,
    async open(changes = {}) {
      engine = await createProcessEngine({
        layout,
        dataDir,
        log: createLog('silent'),
        accelerator: 'tcg',
        // Another QEMU than the installed one can be tried: its path in this variable.
        binary: process.env['SANDLABX_TEST_QEMU'] ?? 'qemu-system-x86_64',
        timings: TIMINGS,
        ...changes,
      })
      return engine
    },
    newSpec: (changes) => specOver(image, nodeIdSchema.parse(randomUUID()), changes),
    paths: (id) => runPathsOf(layout, id),
    async close() {
      await engine?.close()
      for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** The QEMU processes whose working folder is this data folder: ours, and nobody else's. */
export function qemusIn(dataDir: string): number[] {
  const pids = execFileSync('ps', ['-eo', 'pid=,args=', '-ww'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('qemu-system') && line.includes('-uuid'))
    .map((line) => Number.parseInt(line, 10))
  return pids.filter((pid) => {
    try {
      return execFileSync('readlink', [`/proc/${pid}/cwd`], { encoding: 'utf8' }).trim() === dataDir
    } catch {
      return false // it has ended meanwhile
    }
  })
}

export function pidOf(node: EngineNode): number {
  if (node.pid === null) throw new Error('the node has no process')
  return node.pid
}

/** One field of /proc/<pid>/status. */
export async function statusField(pid: number, field: string): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return new RegExp(`^${field}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)?.[1] ?? ''
}

import { isAbsolute, relative } from 'node:path'
import {
  agentSocket,
  launchFile,
  loopbackSocket,
  nodeRunDir,
  pidFile,
  qemuLog,
  qmpSocket,
  seedFile,
  serialLog,
  serialSocket,
  vncSocket,
  type Layout,
} from '../domain/layout.js'
import { EngineError } from './engine.js'

/**
 * A node's places in `run/`. Two folders, because QEMU may be taken over by its guest: the outer one is the backend's
 * and QEMU can't write there, so what decides about signals and adoption (`launch.json`) can't be forged; in `io/`
 * QEMU makes its sockets, and what lies there is never trusted.
 */
export interface RunPaths {
  dir: string
  launch: string
  qemuLog: string
  /** The pid as text, for the command line; the record is what we go by. */
  pid: string
  /** Links to the disks as they are called now: disk-names.ts. */
  disks: string
  /** For a QEMU in a container: its arguments, and what it holds as long as it lives (sign-of-life.ts). */
  arguments: string
  alive: string
  /** QEMU's own folder. */
  io: string
  qmp: string
  serial: string
  /** Where the machine has a port for the guest's agent. */
  agent: string
  vnc: string
  /** For a QEMU in a container: leads to the port that it forwards to its guest's SSH. */
  loopback: string
  serialLog: string
  seed: string
}

/** sockaddr_un has 108 bytes for a path and its NUL. */
const MAX_SOCKET_PATH_BYTES = 107

export function runPathsOf(layout: Layout, nodeId: string): RunPaths {
  return runPathsIn(nodeRunDir(layout, nodeId))
}

export function runPathsIn(dir: string): RunPaths {
  const io = `${dir}/io`
  return {
    dir,
    launch: launchFile(dir),
    qemuLog: qemuLog(dir),
    pid: pidFile(dir),
    disks: `${dir}/disks`,
    arguments: `${dir}/arguments`,
    alive: `${dir}/alive`,
    io,
    qmp: qmpSocket(io),
    serial: serialSocket(io),
    agent: agentSocket(io),
    vnc: vncSocket(io),
    loopback: loopbackSocket(io),
    serialLog: serialLog(io),
    seed: seedFile(io),
  }
}

/** As QEMU sees a path from its working folder: relative below it, so that no right on the folders above is needed. */
export function pathInQemu(dataDir: string, path: string): string {
  const below = relative(dataDir, path)
  return below === '' || below.startsWith('..') || isAbsolute(below) ? path : below
}

/** Throws EngineError `unsupported` when the data folder's path leaves no room for the sockets' names. */
export function requireShortPaths(layout: Layout): void {
  const longest = runPathsOf(layout, '0'.repeat(12)).serial
  if (Buffer.byteLength(longest) <= MAX_SOCKET_PATH_BYTES) return
  throw new EngineError(
    'unsupported',
    `The path ${layout.run} is too long: the system allows ${MAX_SOCKET_PATH_BYTES} bytes for a socket's path, ` +
      `and ${Buffer.byteLength(longest)} would be needed. Choose a data folder with a shorter path.`,
  )
}

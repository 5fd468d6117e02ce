import type { Duplex } from 'node:stream'
import type { NodeId } from '../domain/ids.js'
import type { Identity } from '../system/identity.js'
import type { EngineIsolation, NodeSpec } from './engine.js'
import type { LaunchRecord } from './launch-record.js'
import type { Run } from './run.js'

/**
 * Where QEMUs live: as processes beside us (process-housing.ts), or each in a container of its own (container-housing.ts).
 * All that the engine does differently in the two is here; with a QEMU that runs it speaks over the sockets in the
 * node's folder, which are the same.
 */
export interface Housing {
  readonly kind: 'process' | 'container'
  /** How far a guest that has taken its QEMU over would come; whether nodes can have a way to the internet. */
  isolation(): Promise<EngineIsolation>
  /** Throws EngineError `unsupported` when a QEMU that lives here could not open what the node needs. */
  requireReachable(spec: NodeSpec): void
  /** In words: what runs as this node though no record says so; undefined when nothing does. */
  findStranger(id: NodeId): Promise<string | undefined>
  /** The same of a node's folder. */
  findStrangerIn(dir: string): Promise<string | undefined>
  /** Starts QEMU with the guest held; its folder and its launch record are there. Leaves nothing when it rejects. */
  start(run: Run, start: QemuStart): Promise<StartingQemu>
  /**
   * What became of a QEMU that an earlier backend started: its record as it is now, or `gone`: it has ended; `never`: it
   * never ran.
   */
  find(launch: LaunchRecord): Promise<LaunchRecord | 'gone' | 'never'>
  /** Whether it still lives; for one that is not our own child, whose end is told. */
  lives(run: Run): Promise<boolean>
  /**
   * Connects to ports on the loopback of this QEMU's network, where nobody else has one. A connection ends when there is no
   * such port. Throws EngineError `unsupported` with the reason, `not-found` when the QEMU has ended.
   */
  wayToLoopback(run: Run): Promise<(port: number) => Promise<Duplex>>
  /** To exactly this QEMU; nothing happens when it has ended. Throws EngineError when it can't be told. */
  signal(run: Run, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** It has ended: whatever of it is left beside its folder goes. Never rejects. */
  clear(run: Pick<Run, 'id'>): Promise<void>
}

export interface QemuStart {
  spec: NodeSpec
  /** Whom it is to run as; undefined: as we do. */
  user: Identity | undefined
}

/** A QEMU that was just started. */
export interface StartingQemu {
  /** Rejects when it could not be started, or ends; never resolves. */
  readonly failed: Promise<never>
  /** Takes down which QEMU it is, so that a later backend finds it. */
  takeDown(): Promise<void>
  /** Once it is on record: opens the internet to it where its node has that. Throws EngineError `unsupported`. */
  openInternet(): Promise<void>
  /** Whether it fell over its own work, after an error: not when somebody else ended it. */
  fellByItself(): Promise<boolean>
  /** Ends it, now and surely. */
  end(): Promise<void>
  /** It has been started, or has ended: what was only needed for that is let go. */
  release(): Promise<void>
}

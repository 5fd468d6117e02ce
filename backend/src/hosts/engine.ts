import type { Duplex } from 'node:stream'
import type { ConsoleKind } from '../domain/console.js'
import type { Keyboard } from '../domain/keyboard.js'
import type { NodeId } from '../domain/ids.js'
import type { DirectBoot, Fingerprint } from '../domain/image.js'
import type { NodeDevices } from '../domain/node.js'
import type { DiskSpec, LiveDisks } from './engine-disks.js'

/**
 * What runs nodes. One contract for QEMU processes on this machine, for the fake in tests, and later for a cluster;
 * the same suite (`test/qemu/engine-contract.ts`) runs against each.
 *
 * Rules: jobs are keyed and idempotent (same node, action and key = same job, unless that one failed: then it is tried
 * again); a job may be `lost`, then ask `list()` and assume nothing;
 * a silent host means phase `unknown` and nobody acts on it; there is no placement argument, the engine schedules;
 * capabilities are asked, never guessed from `kind`; the engine names console targets, callers never do.
 */
export interface NodeEngine extends LiveDisks {
  readonly kind: string
  readonly capabilities: EngineCapabilities
  /** Cheap; asked before each admission and by the health page. */
  probe(): Promise<EngineReport>
  /** Every node that runs or has run, running ones adopted. A silent node is listed as `unknown`. */
  list(): Promise<EngineNode[]>
  /** One node; `absent` when there is not even a disk of it. */
  inspect(id: NodeId): Promise<EngineNode>
  /** Makes the root disk over its base, does not start. Already there with the same spec = success; undone on failure. */
  ensureNode(spec: NodeSpec, key: string): Job<EngineNode>
  /**
   * Starts what `spec` describes. Already running = success. Resolves when QMP answers and the guest runs; with
   * `resume.hold` when it has its memory and waits, paused, for `resume`.
   */
  start(spec: NodeSpec, key: string): Job<EngineNode>
  /**
   * Guest shutdown, then harder (`quit`, SIGTERM, SIGKILL). Already stopped = success; the result says how. During a stop
   * a second one joins it, and shortens its grace when its own is shorter.
   */
  stop(id: NodeId, options: { key: string; graceMs: number }): Job<StopResult>
  /** Guest reset button. */
  restart(id: NodeId, options: { key: string }): Job<EngineNode>
  /** Lets a paused guest go on. Running = success; paused again at once = `no-space` or `engine` with the reason. */
  resume(id: NodeId, options: { key: string }): Job<EngineNode>
  /**
   * Holds the guest, writes its memory to this new file in `overlays/`, durable, mode 0600, and ends the machine: a start
   * with `resume` goes on from there. Already so = success. Rejects with `not-found` when it does not run, `conflict` when
   * it is paused, or (retry) while a disk is frozen or merged, `no-space`, `host-unknown`, `engine`, `lost`: unless it was one of the last
   * two the guest goes on and there is no such file. `suspendState` says what holds.
   */
  suspend(id: NodeId, options: { key: string; memoryFile: string }): Job<SuspendResult>
  /**
   * How far a suspend has come, whoever began it; what was half done is then undone or finished. `none`: the guest goes on,
   * or has ended, and the file is gone. `done`: the node does not run, and the file is whole. Rejects with
   * `host-unknown` (retry) while QEMU does not answer.
   */
  suspendState(id: NodeId, options: { memoryFile: string }): Promise<'none' | 'done'>
  /**
   * Lets a running guest stand still until it is suspended, stopped or resumed, or until an engine is opened anew; it is
   * shown as running. Rejects with `not-found`, `conflict`, `host-unknown`. Absent: it goes on until its suspend.
   */
  standStill?(id: NodeId): Promise<void>
  /** Forgets the node; refuses a running one with `conflict`. Disks are kept unless told (then: moved to the trash). */
  remove(id: NodeId, options: { key: string; disks: 'keep' | 'delete' }): Job<void>
  /** Refused with `not-found` when the node is not running. */
  console(id: NodeId, kind: Exclude<ConsoleKind, 'ssh'>): Promise<ConsoleTarget>
  /**
   * A connection to a TCP port of the guest's first network card, over which nothing else can be reached. It opens before
   * the guest has answered, and ends when nobody listens there. Absent: this engine has no way into a guest's network.
   * Rejects with `not-found` when the node does not run, `host-unknown`, and `unsupported` with the reason.
   */
  connectGuest?(id: NodeId, port: number): Promise<Duplex>
  /** Presses QEMU qcodes together; types by repeating. Works the same for every console kind. */
  sendKeys(id: NodeId, keys: string[]): Promise<void>
  /** Whether the guest's own agent can be asked now: `silent` after a few seconds. `not-found` when it does not run. */
  guestAgent(id: NodeId): Promise<GuestAgentState>
  /** The screen as PNG bytes. */
  screenshot(id: NodeId): Promise<Buffer>
  /** The newest serial output, also of a node that has ended, at most `maxBytes`. */
  serialTail(id: NodeId, maxBytes: number): Promise<Buffer>
  /**
   * Called when a node changes by itself: it paused, resumed, fell silent; and at each end, also one that was asked for
   * (`ended.how` tells). Returns the unsubscribe.
   */
  onChange(listener: (node: EngineNode) => void): () => void
  /** Stops watching; nodes go on. */
  close(): Promise<void>
}

export type Phase = 'absent' | 'stopped' | 'starting' | 'running' | 'paused' | 'stopping' | 'failed' | 'unknown'

export interface EngineCapabilities {
  multiHost: boolean
  liveMove: boolean
  liveSnapshot: boolean
  thinClone: boolean
  /** Who stops a second start on the same disk: QEMU's image lock, the engine, a fence, nobody. */
  exclusiveDisk: 'lock' | 'engine' | 'fence-hook' | 'none'
  hotplug: boolean
  /** Survives the backend: nodes are found again after a restart. */
  adoption: boolean
  /** Running nodes can be suspended, and go on from there. */
  suspend: boolean
  /** Guests may have a port for an agent (`NodeSpec.agent`), which can write everything out before a snapshot. */
  guestAgent: boolean
}

/** `absent`: the machine runs without a port for one; `silent`: with one, and nobody answers there. */
export type GuestAgentState = 'absent' | 'silent' | 'answers'

export interface EngineReport {
  ok: boolean
  version: string
  accelerator: { kind: 'kvm' | 'tcg'; reason: string; probeMs: number | null }
  hosts: { id: string; up: boolean; cpus: number; memoryMib: number; freeMemoryMib: number }[]
  /** How far a guest that has taken its QEMU over would come; absent where no guest runs. */
  isolation?: EngineIsolation
}

export interface EngineIsolation {
  /** `node`: each node's QEMU has a user of its own; `shared`: one user without rights for all; `backend`: ours. */
  users: 'node' | 'shared' | 'backend'
  /** `own`: QEMU is in a network without any address; `host`: it is in the host's. */
  network: 'own' | 'host'
  /** Present where each node's QEMU is in a container of its own: whether they can be made now. */
  containers?: { ok: true } | { ok: false; reason: string }
  /** Whether nodes with a way to the internet can be started; `reason` says why not and what to do. */
  internet: { ok: true } | { ok: false; reason: string }
}

export interface NodeSpec {
  id: NodeId
  name: string
  generation: number
  cpus: number
  memoryMib: number
  base: { file: string; fingerprint: Fingerprint }
  /**
   * What the root disk stands on: read-only layers, files in `overlays/`, nearest first; then the base image, unless
   * `base` is false. Absent: the base image alone.
   */
  backing?: { layers: string[]; base: boolean }
  firmware: 'bios' | 'uefi'
  directBoot: DirectBoot | null
  /** Exactly one is the root disk. */
  disks: DiskSpec[]
  /** The root disk is `overlays/.ephemeral/<id>.qcow2`: never flushed to the host's disk, and gone with the node. */
  ephemeral?: true
  /**
   * The guest goes on from this saved memory (a file in `overlays/`) instead of booting; its disks must be those of the
   * same moment. One that can't be loaded rejects the start with `bad-memory` and the reason; the guest has not run.
   * `hold`: it does not run before `resume`, also when another engine finds it.
   */
  resume?: { memoryFile: string; hold?: boolean }
  nics: { mac: string; internet: boolean }[]
  /** The machine has a port for the guest's agent. */
  agent?: boolean
  /** What the guest's layout of keys is, for viewers that send characters; absent: QEMU's usual one, `en-us`. */
  keyboard?: Keyboard
  /** Absent: virtio. Further disks and the seed are on virtio always. */
  devices?: NodeDevices
  /** NoCloud seed for the guest; null when the image does not read one. */
  seed: GuestSeed | null
}

export interface GuestSeed {
  instanceId: string
  hostName: string
  user: string
  passwordHash: string | null
  sshKeys: string[]
}

export interface EngineNode {
  id: NodeId
  phase: Phase
  /** Why it failed, paused or is unknown, in words; with QEMU's own last lines where there are any. */
  reason: string | null
  generation: number
  host: string | null
  startedAt: string | null
  accelerator: 'kvm' | 'tcg' | null
  /** `guest`: it powered itself off. Set once the node has ended. */
  ended: { at: string; how: 'guest' | 'asked' | 'forced' | 'crashed' } | null
  /** For tests and the health page; null where the engine has none. */
  pid: number | null
}

export interface SuspendResult {
  node: EngineNode
  /** Length of the memory file. */
  sizeBytes: number
}

export interface StopResult {
  node: EngineNode
  /** The rung that ended it. */
  how: 'already-stopped' | 'guest-shutdown' | 'quit' | 'sigterm' | 'sigkill'
}

export type JobState = 'pending' | 'succeeded' | 'failed' | 'lost'

export interface Job<T> {
  readonly id: string
  readonly key: string
  readonly state: JobState
  /** Rejects with EngineError; `timeout` when the wait is over, the job goes on. */
  wait(options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<T>
}

export type EngineErrorCode =
  | 'conflict'
  | 'not-found'
  | 'no-capacity'
  | 'no-space'
  | 'locked'
  | 'host-unknown'
  | 'unsupported'
  | 'bad-memory'
  | 'broken'
  | 'timeout'
  | 'lost'
  | 'engine'

export class EngineError extends Error {
  readonly code: EngineErrorCode
  /** Trying again, unchanged, may work. */
  readonly retry: boolean
  constructor(code: EngineErrorCode, message: string, options: { retry?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'EngineError'
    this.code = code
    this.retry = options.retry ?? false
  }
}

/** Where a console's bytes are. `unix`: a socket on this machine; `tcp`: for engines on other hosts. */
export type ConsoleTarget =
  | { via: 'unix'; protocol: 'vnc' | 'serial'; path: string }
  | { via: 'tcp'; protocol: 'vnc' | 'serial'; host: string; port: number; secret?: string }
  | { via: 'stream'; protocol: 'vnc' | 'serial'; open(): Promise<Duplex> }

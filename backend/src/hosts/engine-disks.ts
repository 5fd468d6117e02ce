import type { NodeId } from '../domain/ids.js'
import type { DriveLimits, DriveSettings } from '../domain/drive.js'

/** A disk of a node, as it is given to the guest at its next start. */
export interface DiskSpec {
  /** The drive's id; `root` for the root disk. QEMU's device is `disk-<id>`. */
  id: string
  role: 'root' | 'data'
  /** File name in `overlays/`. */
  file: string
  /** Somebody's own file, absolute, instead of `file`. */
  path?: string
  /** Default qcow2; never probed. */
  format?: 'qcow2' | 'raw'
  sizeBytes: number
  readOnly: boolean
  /** What a data drive stands on; the root disk's is `NodeSpec.backing`. A data drive's chain never ends on a base. */
  backing?: { layers: string[]; base: boolean }
  cache?: DriveSettings['cache']
  io?: DriveSettings['io']
  limits?: DriveLimits
}

/** One disk of a live snapshot. All names are relative to `overlays/`, and lie on its file system. */
export interface SnapshotDisk {
  driveId: string
  /** The disk now. Afterwards this name is the guest's fresh overlay, of the same user. */
  file: string
  /** What the disk so far is called afterwards: read-only, ours, durable. There must be none of this name yet. */
  layerFile: string
  /**
   * Where the fresh overlay is made: in a folder that QEMU's user may enter, and no sweep may remove it. Gone afterwards,
   * one way or the other.
   */
  freshFile: string
}

export interface SnapshotRequest {
  key: string
  disks: SnapshotDisk[]
  /**
   * The guest's memory of the same moment goes to this new file in `overlays/`, durable, mode 0600. The guest then stands
   * still until it is written: some 0.5 s for each 100 MB in use.
   */
  memoryFile?: string
  /** The guest's agent writes everything out first, and holds the guest's writes until it is done. */
  freeze?: boolean
}

export interface SnapshotResult {
  qemuVersion: string
  /** QEMU's versioned machine type. */
  machine: string
  /** How long the guest stood still, at most; milliseconds. */
  pauseMs: number
  /** The agent had written everything out. */
  frozen: boolean
  /** How long the guest's writes waited for that, at most; milliseconds. Null: it was not frozen. */
  frozenMs: number | null
}

export interface MergeRequest {
  key: string
  driveId: string
  /**
   * What the disk stands on afterwards, as its header is to name it: a layer's file name in `overlays/`, or the base
   * image's path from there (`../images/x.qcow2`); null: nothing, the disk then stands alone.
   */
  onto: string | null
  signal: AbortSignal
  /** Bytes; `total` may grow. */
  onProgress: (done: number, total: number) => void
}

/** What an engine does with the disks of nodes that run. All of it throws EngineError, and leaves the guest running. */
export interface LiveDisks {
  /**
   * A live point in time of a running node's root disk: from the answer on, `frozenFile` no longer changes, until
   * `release`. The guest pauses for milliseconds. One at a time for each node: the same key gives the same one, another
   * key `conflict` (retry) until it is released. What is cached in the guest and not yet on its disk is not in it: as
   * after a power cut.
   *
   * Throws `not-found` when the node is not running; `unsupported` when `capabilities.liveSnapshot` is false;
   * `host-unknown`, `no-space`, `engine`: the node is then as before.
   */
  freezeDisk(id: NodeId, options: { key: string }): Promise<FrozenDisk>
  /**
   * A snapshot that stays: from the answer on each disk's file so far has the layer's name and no longer changes, and the
   * guest writes to a fresh overlay that has the disk's name. All disks at one moment. What is cached in the guest and
   * not yet on its disks is not in it, unless `freeze`: as after a power cut.
   *
   * The same key again, while the engine lives, gives the same answer. Rejects with `not-found` when the node is not
   * running; `unsupported` when `capabilities.liveSnapshot` is false or, with `freeze`, no agent of the guest answers
   * within a few seconds, or it refuses; `timeout` when it could not write everything out in time; `conflict` (retry)
   * while a disk is frozen or merged; `host-unknown`, `no-space`, `engine`, `lost`. After a rejection `snapshotState` says
   * what holds; unless it was `lost` or `host-unknown` nothing has happened and no file is left. However it ends, the guest
   * is thawed: an agent that has fallen silent is told so as soon as it answers, also by the next engine.
   */
  snapshotDisks(id: NodeId, request: SnapshotRequest): Promise<SnapshotResult>
  /**
   * How far a snapshot has come, whoever began it, also for a node that has ended meanwhile; what was half done is
   * then undone or finished. `none`: the disks are as before, layer, fresh and memory files are gone. `done`: as
   * `snapshotDisks` promises; the memory file is then whole or absent. Call it for disks that no later snapshot has
   * changed. Rejects with `host-unknown` (retry) while QEMU does not answer, and `broken` when files contradict.
   */
  snapshotState(id: NodeId, request: Pick<SnapshotRequest, 'key' | 'disks' | 'memoryFile'>): Promise<'none' | 'done'>
  /**
   * Of a running node: what lies between the disk and `onto` is copied up into the disk, which then stands on `onto`; the
   * engine no longer uses the layers in between, nobody else is looked at. At every moment, also after a kill, the chain
   * is whole, and the disk's header names what it stands on. Standing on it already = success.
   *
   * Aborted: rejects with the signal's reason, the disk stands on what it stood on. `not-found`: not running, or ended
   * meanwhile; `no-space`, `conflict` (retry: frozen, or another merge), `lost`: the engine was closed, the merge
   * goes on, and the same call to the next engine joins it.
   */
  mergeDown(id: NodeId, request: MergeRequest): Promise<void>
}

export interface FrozenDisk {
  /** Absolute path of the qcow2 layer that no longer changes; its backing chain ends at the base image. For the backend to read. */
  frozenFile: string
  /**
   * Takes the guest's newest writes back into the frozen layer; the node is as before. Idempotent; after a failure it may
   * be called again. The node may end meanwhile: nothing is lost, and until the release it is neither started nor
   * removed (`conflict`, retry). Without a release, because the backend died, the next one releases before it answers.
   */
  release(): Promise<void>
}

import type { DriveView } from '@domain/drive.js'
import type { SnapshotView } from '@domain/snapshot.js'
import type { Orphan, SpaceReport, VerifyReport } from '@domain/storage.js'
import type { TrashView } from '@domain/trash.js'
import { NODE_ID, SAM_ID } from './samples.js'

const GIB = 1024 ** 3
const AT = '2026-11-20T08:00:00.000Z'
export const SNAPSHOT_ID = '66666666-6666-4666-8666-666666666666'
export const OPERATION_ID = '33333333-3333-4333-8333-333333333333'

/** 100 GiB, of which the lab holds 30 and 30 are somebody else's. */
export function sampleSpaceReport(change: Partial<Record<keyof SpaceReport, unknown>> = {}): SpaceReport {
  return {
    at: AT,
    fileSystems: [{ path: '/data', totalBytes: 100 * GIB, freeBytes: 40 * GIB, reservedBytes: 0 }],
    nodes: [
      {
        id: NODE_ID,
        name: 'web-07',
        ownerLogin: 'sam',
        usedBytes: 8 * GIB,
        drivesBytes: 2 * GIB,
        virtualBytes: 20 * GIB,
      },
    ],
    images: [{ id: 'debian-12', title: 'Debian 12', usedBytes: 6 * GIB, nodes: 1 }],
    snapshots: [
      { id: SNAPSHOT_ID, name: 'before-update', nodeName: 'web-07', usedBytes: 5 * GIB, shared: false },
      { id: 'layer-1', name: '', nodeName: 'web-07', usedBytes: 3 * GIB, shared: true },
    ],
    trashBytes: 4 * GIB,
    orphanBytes: 2 * GIB,
    stagingBytes: 0,
    recordingsBytes: 0,
    overcommit: 1.5,
    ...change,
  } as SpaceReport // the ids are brands over strings
}

export function sampleTrash(change: Partial<Record<keyof TrashView, unknown>> = {}): TrashView {
  return {
    id: '20261120T080000-a1',
    at: AT,
    purgedAt: '2026-11-27T08:00:00.000Z',
    reason: 'deleted',
    title: 'node web-07',
    ownerId: SAM_ID,
    ownerLogin: 'sam',
    actorLogin: 'sam',
    operationId: OPERATION_ID,
    nodeName: 'web-07',
    usedBytes: GIB,
    files: [{ path: `/overlays/node_${NODE_ID}.qcow2`, bytes: GIB }],
    refusal: null,
    ...change,
  } as TrashView // the ids are brands over strings
}

export function sampleOrphan(change: Partial<Record<keyof Orphan, unknown>> = {}): Orphan {
  return {
    path: '/overlays/forgotten.qcow2',
    usedBytes: GIB,
    sizeBytes: GIB,
    virtualSizeBytes: 10 * GIB,
    format: 'qcow2',
    changedAt: AT,
    kind: 'disk',
    formerly: null,
    snapshotName: null,
    backing: null,
    fault: null,
    ...change,
  } as Orphan // the ids are brands over strings
}

export function sampleSnapshot(change: Partial<Record<keyof SnapshotView, unknown>> = {}): SnapshotView {
  return {
    id: SNAPSHOT_ID,
    nodeId: NODE_ID,
    name: 'before-update',
    note: '',
    parentId: null,
    disks: [{ driveId: 'root', layerId: 'layer1' }],
    memory: null,
    consistency: 'stopped',
    automatic: null,
    cpus: 2,
    memoryMib: 1024,
    createdAt: AT,
    actorLogin: 'sam',
    operationId: OPERATION_ID,
    usedBytes: GIB,
    current: false,
    usedBy: [],
    ...change,
  } as SnapshotView // the ids are brands over strings
}

export function sampleDrive(change: Partial<DriveView> = {}): DriveView {
  return {
    id: 'data',
    root: false,
    source: 'automatic',
    path: '/overlays/drive_77777777-7777-4777-8777-777777777777.qcow2',
    format: 'qcow2',
    sizeBytes: 10 * GIB,
    usedBytes: GIB,
    readOnly: false,
    cache: 'writeback',
    io: 'threads',
    limits: {
      bytesPerSecond: null,
      operationsPerSecond: null,
      burstBytesPerSecond: null,
      burstOperationsPerSecond: null,
    },
    appliesAtNextStart: false,
    missing: false,
    createdAt: AT,
    ...change,
  }
}

export function sampleReport(change: Partial<VerifyReport> = {}): VerifyReport {
  return {
    at: AT,
    level: 'chain',
    ok: false,
    subjects: [
      {
        type: 'node',
        id: NODE_ID,
        name: 'web-07',
        ok: false,
        findings: [
          { check: 'exists', path: '/overlays/node_web.qcow2', ok: true, message: 'exists', repairs: [] },
          {
            check: 'exists',
            path: '/overlays/drive_data.qcow2',
            ok: false,
            message: 'MISSING',
            repairs: [
              { repair: 'recreate-drive', title: 'Make the drive again, empty, with 10.0 GiB', argument: null },
            ],
          },
        ],
      },
      { type: 'image', id: 'debian-12', name: 'Debian 12', ok: true, findings: [] },
    ],
    ...change,
  }
}

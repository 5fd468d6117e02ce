import type { ImageView } from '../../src/domain/image.js'
import { nodeViewSchema, type NodeView } from '../../src/domain/node.js'
import { operationSchema, type Operation } from '../../src/domain/operation.js'
import { operationPlanSchema, type OperationPlan } from '../../src/domain/plan.js'
import { imageViewSchema } from '../../src/domain/image.js'
import { driveViewSchema, NO_LIMITS, type DriveView } from '../../src/domain/drive.js'
import { snapshotViewSchema, type SnapshotView } from '../../src/domain/snapshot.js'
import { orphanSchema, verifyReportSchema, type Orphan, type VerifyReport } from '../../src/domain/storage.js'
import { trashViewSchema, type TrashView } from '../../src/domain/trash.js'
import { userSchema, type User } from '../../src/domain/user.js'

const AT = '2026-11-21T07:42:10.000Z'

/** The n-th UUID of a test. */
export const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** Objects as the API answers them; each passes its schema, so that a test can't lean on a shape that never is. */
export function aNode(changes: Partial<Record<keyof NodeView, unknown>> = {}): NodeView {
  return nodeViewSchema.parse({
    id: uuid(1),
    name: 'web-1',
    status: 'running',
    statusReason: null,
    desired: 'running',
    image: 'debian-12',
    imageTitle: 'Debian 12',
    cpus: 2,
    memoryMib: 512,
    diskBytes: 10 * 1024 ** 3,
    diskUsedBytes: 5 * 1024 ** 2,
    overlayPath: `/overlays/node_${uuid(1)}.qcow2`,
    ownerId: uuid(100),
    ownerLogin: 'anna',
    mac: '52:54:00:00:00:01',
    internet: false,
    guestUser: 'anna',
    loginNotes: 'As anna, with the password that was shown.',
    createdAt: AT,
    updatedAt: AT,
    startedAt: AT,
    accelerator: 'tcg',
    lastExit: null,
    snapshotSchedule: null,
    drivesPending: false,
    suspended: null,
    onStop: null,
    recording: null,
    keyboard: null,
    agent: false,
    actions: {
      start: null,
      stop: null,
      restart: null,
      suspend: null,
      resume: null,
      discardMemory: null,
      delete: null,
      changeResources: null,
      rename: null,
      console: null,
      clone: null,
      snapshot: null,
      reset: null,
      changeDrives: null,
      growDrive: null,
    },
    ...changes,
  })
}

export function anImage(changes: Partial<Record<keyof ImageView, unknown>> = {}): ImageView {
  return imageViewSchema.parse({
    id: 'tiny',
    file: 'tiny.qcow2',
    title: 'Tiny',
    description: 'A kernel and busybox.',
    origin: 'built',
    version: '1',
    virtualSizeBytes: 64 * 1024 ** 2,
    fingerprint: { sha256: 'a'.repeat(64), sizeBytes: 9 * 1024 ** 2, mtimeMs: 0 },
    bootFiles: {},
    firmware: 'bios',
    directBoot: null,
    cloudInit: true,
    loginNotes: 'As root.',
    minimumMemoryMib: 64,
    createdAt: AT,
    usedBy: [],
    ...changes,
  })
}

export function anOperation(changes: Partial<Record<keyof Operation, unknown>> = {}): Operation {
  return operationSchema.parse({
    id: uuid(50),
    kind: 'image.build',
    title: 'Build Debian 12',
    state: 'running',
    actorId: uuid(100),
    actorLogin: 'anna',
    target: { type: 'image', id: 'debian-12' },
    step: 'installing packages',
    progress: 0.42,
    bytesDone: null,
    bytesTotal: null,
    log: [{ at: AT, text: 'begun' }],
    error: null,
    cancellable: true,
    startedAt: AT,
    endedAt: null,
    outcome: null,
    resources: [],
    items: [],
    request: null,
    ...changes,
  })
}

export function aUser(changes: Partial<Record<keyof User, unknown>> = {}): User {
  return userSchema.parse({
    id: uuid(100),
    login: 'anna',
    displayName: 'Anna',
    role: 'student',
    disabled: false,
    mustChangePassword: false,
    createdAt: AT,
    lastSignInAt: null,
    ...changes,
  })
}

export function aPlan(changes: Partial<Record<keyof OperationPlan, unknown>> = {}): OperationPlan {
  return operationPlanSchema.parse({
    kind: 'node.clone',
    title: 'Clone web-1 to web-2',
    steps: ['Make empty disks over what the source stands on', 'Record the node'],
    space: [
      {
        path: '/overlays',
        requiredBytes: 52.5 * 1024 ** 3,
        availableBytes: 60 * 1024 ** 3,
        reservedBytes: 0,
        keptFreeBytes: 0,
        freeUpBytes: 0,
      },
    ],
    creates: [{ type: 'node', name: 'web-2' }],
    replaces: [],
    warnings: [],
    refusal: null,
    ...changes,
  })
}

const GIB = 1024 ** 3

export function aTrashEntry(changes: Partial<Record<keyof TrashView, unknown>> = {}): TrashView {
  return trashViewSchema.parse({
    id: `2026-11-21T07-42-10.000Z_${uuid(1)}`,
    at: AT,
    purgedAt: '2026-11-28T07:42:10.000Z',
    reason: 'deleted',
    title: 'node web-1',
    ownerId: uuid(100),
    ownerLogin: 'anna',
    actorLogin: 'anna',
    operationId: uuid(50),
    nodeName: 'web-1',
    usedBytes: GIB,
    files: [{ path: `/overlays/node_${uuid(1)}.qcow2`, bytes: GIB }],
    refusal: null,
    ...changes,
  })
}

export function anOrphan(changes: Partial<Record<keyof Orphan, unknown>> = {}): Orphan {
  return orphanSchema.parse({
    path: `/overlays/node_${uuid(9)}.qcow2`,
    usedBytes: 5 * GIB,
    sizeBytes: 5 * GIB,
    virtualSizeBytes: 10 * GIB,
    format: 'qcow2',
    changedAt: AT,
    kind: 'disk',
    formerly: { nodeName: 'old', nodeId: uuid(9), ownerId: uuid(100), ownerLogin: 'anna' },
    snapshotName: null,
    backing: { path: '/images/debian-12.qcow2', present: true },
    fault: null,
    ...changes,
  })
}

export function aSnapshot(changes: Partial<Record<keyof SnapshotView, unknown>> = {}): SnapshotView {
  return snapshotViewSchema.parse({
    id: uuid(70),
    nodeId: uuid(1),
    name: 'monday',
    note: 'before the upgrade',
    parentId: null,
    disks: [{ driveId: 'root', layerId: uuid(80) }],
    memory: null,
    consistency: 'stopped',
    automatic: null,
    cpus: 2,
    memoryMib: 512,
    createdAt: AT,
    actorLogin: 'anna',
    operationId: uuid(50),
    usedBytes: GIB,
    current: true,
    usedBy: [],
    ...changes,
  })
}

export function aDrive(changes: Partial<Record<keyof DriveView, unknown>> = {}): DriveView {
  return driveViewSchema.parse({
    id: 'data',
    root: false,
    source: 'automatic',
    path: `/overlays/drive_${uuid(60)}.qcow2`,
    format: 'qcow2',
    sizeBytes: 10 * GIB,
    usedBytes: 1024 ** 2,
    readOnly: false,
    cache: 'writeback',
    io: 'threads',
    limits: NO_LIMITS,
    appliesAtNextStart: true,
    missing: false,
    createdAt: AT,
    ...changes,
  })
}

/** One node with one file that is there and one that is not, and a way to mend it. */
export function aVerifyReport(changes: Partial<Record<keyof VerifyReport, unknown>> = {}): VerifyReport {
  return verifyReportSchema.parse({
    at: AT,
    level: 'chain',
    ok: false,
    subjects: [
      {
        type: 'node',
        id: uuid(1),
        name: 'web-1',
        ok: false,
        findings: [
          { check: 'exists', path: '/overlays/node_1.qcow2', ok: true, message: 'exists', repairs: [] },
          { check: 'chain', path: '/overlays/node_1.qcow2', ok: true, message: 'chain whole', repairs: [] },
          {
            check: 'exists',
            path: '/overlays/drive_1.qcow2',
            ok: false,
            message: 'MISSING',
            repairs: [{ repair: 'recreate-drive', title: 'Make it again, empty, with 10 GiB.', argument: null }],
          },
        ],
      },
    ],
    ...changes,
  })
}

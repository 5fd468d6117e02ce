import type { ImageView } from '../../src/domain/image.js'
import { nodeViewSchema, type NodeView } from '../../src/domain/node.js'
import { operationSchema, type Operation } from '../../src/domain/operation.js'
import { operationPlanSchema, type OperationPlan } from '../../src/domain/plan.js'
import { imageViewSchema } from '../../src/domain/image.js'
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
    actions: {
      start: null,
      stop: null,
      restart: null,
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

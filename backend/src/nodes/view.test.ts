import { describe, expect, it } from '@jest/globals'
import { nodeRecordSchema, type NodeRecord } from '../domain/node.js'
import type { EngineNode, Phase } from '../hosts/engine.js'
import { statusOf, viewOf, type Observation } from './view.js'

const at = '2026-11-21T08:00:00.000Z'
const record: NodeRecord = nodeRecordSchema.parse({
  id: 'a3bb189e-8bf9-4c4b-8b3f-1f1f1f1f1f1f',
  name: 'web',
  ownerId: 'b3bb189e-8bf9-4c4b-8b3f-1f1f1f1f1f1f',
  imageId: 'tiny',
  base: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 },
  cpus: 1,
  memoryMib: 256,
  diskBytes: 1024 ** 3,
  overlayFile: 'node_a3bb189e-8bf9-4c4b-8b3f-1f1f1f1f1f1f.qcow2',
  mac: '52:54:00:00:00:01',
  internet: false,
  guest: { user: 'ann', passwordHash: null, sshKeys: [] },
  desired: 'stopped',
  lastExit: null,
  generation: 1,
  createdAt: at,
  updatedAt: at,
  events: [],
})

function seen(phase: Phase | undefined, more: Partial<Observation> = {}): Observation {
  const engine: EngineNode | undefined = phase && {
    id: record.id,
    phase,
    reason: `engine says ${phase}`,
    generation: 1,
    host: null,
    startedAt: at,
    accelerator: 'tcg',
    ended: null,
    pid: 1,
  }
  return { engine, transition: undefined, storageFault: undefined, diskUsedBytes: null, ...more }
}

describe('what a node is doing', () => {
  it('is what the engine sees, whatever the record wants', () => {
    expect(statusOf(record, seen('running')).status).toBe('running')
    expect(statusOf({ ...record, desired: 'running' }, seen('stopped')).status).toBe('crashed')
    expect(statusOf({ ...record, desired: 'running' }, seen(undefined)).status).toBe('crashed')
    expect(statusOf(record, seen(undefined)).status).toBe('stopped')
  })

  it('is unknown while its host is silent, even in the middle of our own action', () => {
    expect(statusOf(record, seen('unknown', { transition: 'stopping' }))).toEqual({
      status: 'unknown',
      reason: 'engine says unknown',
    })
  })

  it('is broken with the reason when its disk can not be used, but not while it runs', () => {
    expect(statusOf(record, seen('stopped', { storageFault: 'gone' }))).toEqual({ status: 'broken', reason: 'gone' })
    expect(statusOf(record, seen('running', { storageFault: 'gone' })).status).toBe('running')
  })

  it('tells for every action whether it is allowed, and why not', () => {
    const running = viewOf(record, undefined, 'ann', seen('running'))
    expect(running.actions.start).toContain('while it is running')
    expect(running.actions.stop).toBeNull()
    expect(viewOf(record, undefined, 'ann', seen(undefined)).actions.console).toContain('it is stopped')
  })

  it('shows start time and accelerator only of a node that runs', () => {
    expect(viewOf(record, undefined, 'ann', seen('running'))).toMatchObject({ startedAt: at, accelerator: 'tcg' })
    expect(viewOf(record, undefined, 'ann', seen('stopped'))).toMatchObject({ startedAt: null, accelerator: null })
  })
})

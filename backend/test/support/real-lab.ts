import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layoutOf, type Layout } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { createProcessEngine } from '../../src/hosts/process-engine.js'
import { createLog } from '../../src/system/log.js'
import { startTestLab, type TestLab, type TestLabOptions } from './lab.js'

export interface RealLab extends Omit<TestLab, 'engine'> {
  layout: Layout
  engine: NodeEngine
}

/** A whole backend in a folder of its own, over real QEMUs without KVM. Nodes that still run are for the caller to end. */
export async function startRealLab(options: Pick<TestLabOptions, 'environment'> = {}): Promise<RealLab> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-')) // short: paths of sockets are
  const layout = layoutOf(dataDir)
  const engine = await createProcessEngine({ layout, dataDir, log: createLog('silent'), accelerator: 'tcg' })
  // The contract is the same; only the type of the test's own engine is narrower.
  const lab = await startTestLab({ ...options, dataDir, engine: engine as never })
  return { ...lab, layout, engine }
}

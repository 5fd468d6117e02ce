import type { SpaceReport } from '../domain/storage.js'
import type { NodesContext } from '../nodes/context.js'
import { createClones, type Clones } from './clones.js'
import { createDrives, type Drives } from './drives/drives.js'
import { createOrphans, type Orphans } from './orphans/orphan-verbs.js'
import { createRepairs, type Repairs } from './verify/repair.js'
import { createReset, type Reset } from './reset/reset-verbs.js'
import { createSchedule, type Schedule } from './schedule.js'
import { createSettings, type Settings } from './settings.js'
import { createSnapshots, type Snapshots } from './snapshots/snapshots.js'
import { createSpaceReports } from './verify/space-report.js'
import { createTestBoots, type TestBoots } from './test-boot/test-boot.js'
import { createTrash, type Trash } from './trash/trash.js'
import { createVerify, type Verify } from './verify/verify.js'

/**
 * The room's door: what people do with the disks of nodes, one part for each subject. A part that works by itself from
 * time to time is given the schedule and registers its work there.
 */
export interface Disks {
  clones: Clones
  drives: Drives
  schedule: Schedule
  trash: Trash
  reset: Reset
  settings: Settings
  verify: Verify
  repairs: Repairs
  /** Where the room on the disks is; one look serves all who ask within seconds. */
  space(): Promise<SpaceReport>
  orphans: Orphans
  snapshots: Snapshots
  testBoots: TestBoots
  close(): void
}

export function createDisks(context: NodesContext): Disks {
  const schedule = createSchedule(context)
  return {
    clones: createClones(context),
    drives: createDrives(context),
    schedule,
    trash: createTrash(context, schedule),
    reset: createReset(context),
    settings: createSettings(context),
    verify: createVerify(context, schedule),
    repairs: createRepairs(context),
    space: createSpaceReports(context),
    orphans: createOrphans(context),
    snapshots: createSnapshots(context, schedule),
    testBoots: createTestBoots(context),
    close() {
      schedule.close()
    },
  }
}

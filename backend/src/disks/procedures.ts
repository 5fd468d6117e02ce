import { imageProcedures } from '../images/procedures.js'
import { migrateProcedure } from '../migration/migrate.js'
import type { NodesContext } from '../nodes/context.js'
import { nodeProcedures } from '../nodes/procedures.js'
import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { attachProcedure } from './orphans/attach.js'
import { discardProcedure } from './orphans/discard.js'
import { createDriveProcedure } from './drives/drive-create.js'
import { deleteDriveProcedure } from './drives/drive-delete.js'
import { moveDriveProcedure } from './drives/drive-move.js'
import { updateDriveProcedure } from './drives/drive-update.js'
import { repairProcedure } from './verify/repair-procedure.js'
import { anySnapshotProcedure } from './snapshots/snapshot-create.js'
import { deleteSnapshotProcedure } from './snapshots/snapshot-delete.js'
import { flattenProcedure } from './snapshots/snapshot-flatten.js'
import { restoreSnapshotProcedure } from './snapshots/snapshot-restore.js'
import { testBootProcedure } from './test-boot/test-boot.js'
import { resetProcedure } from './reset/reset.js'
import { restoreProcedure } from './trash/trash-restore.js'

/** Every operation that is whole or not at all: what recovery at boot knows, and what the fault tests walk through. */
export function procedures(context: NodesContext): readonly AnyProcedure[] {
  return [
    ...nodeProcedures(context),
    ...imageProcedures(context),
    anyProcedure(resetProcedure(context)),
    anyProcedure(restoreProcedure(context)),
    anyProcedure(repairProcedure(context)),
    anyProcedure(createDriveProcedure(context)),
    anyProcedure(updateDriveProcedure(context)),
    anyProcedure(deleteDriveProcedure(context)),
    anyProcedure(moveDriveProcedure(context)),
    anySnapshotProcedure(context),
    anyProcedure(restoreSnapshotProcedure(context)),
    anyProcedure(deleteSnapshotProcedure(context)),
    anyProcedure(flattenProcedure(context)),
    anyProcedure(attachProcedure(context)),
    anyProcedure(discardProcedure(context)),
    anyProcedure(testBootProcedure(context)),
    anyProcedure(migrateProcedure(context)),
  ]
}

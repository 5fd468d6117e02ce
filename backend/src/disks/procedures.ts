import { imageProcedures } from '../images/procedures.js'
import type { NodesContext } from '../nodes/context.js'
import { nodeProcedures } from '../nodes/procedures.js'
import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { attachProcedure } from './attach.js'
import { discardProcedure } from './discard.js'
import { createDriveProcedure } from './drive-create.js'
import { deleteDriveProcedure } from './drive-delete.js'
import { moveDriveProcedure } from './drive-move.js'
import { updateDriveProcedure } from './drive-update.js'
import { repairProcedure } from './repair-procedure.js'
import { anySnapshotProcedure } from './snapshot-create.js'
import { deleteSnapshotProcedure } from './snapshot-delete.js'
import { flattenProcedure } from './snapshot-flatten.js'
import { restoreSnapshotProcedure } from './snapshot-restore.js'
import { testBootProcedure } from './test-boot.js'
import { resetProcedure } from './reset.js'
import { restoreProcedure } from './trash-restore.js'

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
  ]
}

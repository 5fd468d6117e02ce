import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { anyCloneProcedure } from './clone.js'
import type { NodesContext } from './context.js'
import { createProcedure } from './create.js'
import { receiveProcedure } from './receive.js'
import { discardMemoryProcedure } from './discard-memory.js'
import { deleteProcedure } from './remove.js'
import { resumeProcedure } from './resume.js'
import { sendProcedure } from './send.js'
import { suspendProcedure } from './suspend.js'

/** This room's part of the table of procedures (`disks/procedures.ts`). */
export function nodeProcedures(context: NodesContext): readonly AnyProcedure[] {
  return [
    anyProcedure(createProcedure(context)),
    anyCloneProcedure(context),
    anyProcedure(deleteProcedure(context)),
    anyProcedure(sendProcedure(context, null)),
    anyProcedure(receiveProcedure(context)),
    anyProcedure(suspendProcedure(context)),
    anyProcedure(resumeProcedure(context)),
    anyProcedure(discardMemoryProcedure(context)),
  ]
}

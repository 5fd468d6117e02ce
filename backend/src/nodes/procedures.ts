import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { anyCloneProcedure } from './clone.js'
import type { NodesContext } from './context.js'
import { createProcedure } from './create.js'
import { receiveProcedure } from './receive.js'
import { deleteProcedure } from './remove.js'
import { sendProcedure } from './send.js'

/** This room's part of the table of procedures (`disks/procedures.ts`). */
export function nodeProcedures(context: NodesContext): readonly AnyProcedure[] {
  return [
    anyProcedure(createProcedure(context)),
    anyCloneProcedure(context),
    anyProcedure(deleteProcedure(context)),
    anyProcedure(sendProcedure(context, null)),
    anyProcedure(receiveProcedure(context)),
  ]
}

import { imageProcedures } from '../images/procedures.js'
import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { anyCloneProcedure } from './clone.js'
import type { NodesContext } from './context.js'
import { createProcedure } from './create.js'
import { receiveProcedure } from './receive.js'
import { deleteProcedure } from './remove.js'
import { sendProcedure } from './send.js'

/** Every operation that is whole or not at all: what recovery at boot knows, and what the fault tests walk through. */
export function procedures(context: NodesContext): readonly AnyProcedure[] {
  return [
    anyProcedure(createProcedure(context)),
    anyCloneProcedure(context),
    anyProcedure(deleteProcedure(context)),
    anyProcedure(sendProcedure(context, null)),
    anyProcedure(receiveProcedure(context)),
    ...imageProcedures(context),
  ]
}

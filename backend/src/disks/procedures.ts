import { imageProcedures } from '../images/procedures.js'
import type { NodesContext } from '../nodes/context.js'
import { nodeProcedures } from '../nodes/procedures.js'
import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { testBootProcedure } from './test-boot.js'

/** Every operation that is whole or not at all: what recovery at boot knows, and what the fault tests walk through. */
export function procedures(context: NodesContext): readonly AnyProcedure[] {
  return [...nodeProcedures(context), ...imageProcedures(context), anyProcedure(testBootProcedure(context))]
}

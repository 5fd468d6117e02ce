import { anyProcedure, type AnyProcedure } from '../transactions/procedure.js'
import { buildProcedure } from './build.js'
import type { ImagesContext } from './context.js'
import { importProcedure } from './import-room.js'
import { pullProcedure } from './pull.js'
import { imageDeleteProcedure } from './removal.js'

/** This room's part of the table of all procedures. */
export function imageProcedures(context: ImagesContext): readonly AnyProcedure[] {
  return [
    anyProcedure(importProcedure(context)),
    anyProcedure(buildProcedure(context)),
    anyProcedure(pullProcedure(context)),
    anyProcedure(imageDeleteProcedure(context)),
  ]
}

import type { Command } from 'commander'
import { z } from 'zod'
import { operationAnswer } from './answers.js'
import { throwIfItemsFailed } from './failed-items.js'
import { followOperation } from './follow-operation.js'
import type { Io } from './io.js'
import { operationId } from './operation-commands.js'
import { askWithPlans } from './plan-question.js'
import { verb, type Run } from './run.js'

/** undo, and the same as operations undo: brings back all that an operation moved to the trash. */
export function addUndoCommand(program: Command, io: Io): void {
  const operations = program.commands.find((command) => command.name() === 'operations')
  for (const parent of [program, ...(operations ? [operations] : [])]) {
    parent
      .command('undo <operation>')
      .description('bring back what it moved to the trash: delete, reset, restore of a snapshot, drive rm, discard')
      .option('--force', 'do not ask, also where what is there now makes room')
      .option('--dry-run', 'show what would be done, and do nothing')
      .addHelpText('after', '\nThe beginning of its id will do; "sandlabx operations ls" lists them.')
      .action(verb(io, undoSchema, undo))
  }
}

const undoSchema = z.object({ force: z.boolean().default(false), dryRun: z.boolean().default(false) })

async function undo(run: Run, options: z.infer<typeof undoSchema>, text: string): Promise<void> {
  const client = await run.client()
  const path = `/api/operations/${await operationId(client, text)}/undo`
  const question = {
    question: 'Bring it back?',
    doing: 'Undoing this replaces what is there now, and',
    askIf: ({ replaces }: { replaces: unknown[] }) => replaces.length > 0,
  }
  const plans = await askWithPlans(run, client, [{ method: 'POST', path, body: {} }], options, question)
  if (!plans) return
  const started = await client.send('POST', path, {}, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation, { eachItem: true })
  throwIfItemsFailed(operation, 'brought back')
  run.output.done('All of it is back.', { operation })
}

import { Command, CommanderError } from 'commander'
import { ERROR_CODES, isSandlabError, SandlabError } from '../domain/error.js'
import { z } from 'zod'
import { addAdminCommands } from './admin-commands.js'
import { addConfigCommands } from './config-commands.js'
import { addConsoleCommand } from './console-command.js'
import { addCloneCommand } from './clone-command.js'
import { addCreateCommand } from './create-command.js'
import { addDeleteCommand } from './delete-command.js'
import { addDoctorCommand, ProblemsFound } from './doctor.js'
import { addDownCommand } from './down.js'
import { addDriveCommands } from './drive-commands.js'
import { addHistoryCommand } from './history-command.js'
import { addImageCommands } from './image-commands.js'
import type { Io } from './io.js'
import { addNodeChangeCommands } from './node-changes.js'
import { addNodeCommands } from './node-commands.js'
import { addOperationCommands } from './operation-commands.js'
import { addPeopleCommands } from './people-commands.js'
import { PlanRefused } from './plan-view.js'
import { addRecordCommands } from './record-commands.js'
import { addRecordingCommands } from './recording-commands.js'
import { addResetCommand } from './reset-command.js'
import { addSessionCommands } from './session-commands.js'
import { addSettingsCommands } from './settings-commands.js'
import { addSnapshotCommands } from './snapshot-commands.js'
import { snapshotVerbFirst } from './snapshot-words.js'
import { addStateCommands } from './state-commands.js'
import { oneLine, paint, wrap } from './text.js'
import { addStorageCommands } from './storage-commands.js'
import { addTestBootCommand } from './test-boot-command.js'
import { addTrashCommands } from './trash-commands.js'
import { addUndoCommand } from './undo-command.js'
import { addUpCommand } from './up.js'

/** Runs one command line and returns the exit code. Never throws, never ends the process. */
export async function runCli(argv: string[], io: Io, version: string): Promise<number> {
  try {
    await buildProgram(io, version).parseAsync(snapshotVerbFirst(argv), { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // commander has said what is wrong
    if (error instanceof ProblemsFound || error instanceof PlanRefused) return error.exitCode
    return report(io, asSandlabError(error), argv.includes('--json'))
  }
}

function buildProgram(io: Io, version: string): Command {
  const program = new Command('sandlabx')
    .description('A lab of persistent virtual machines in the browser.')
    .version(version, '-V, --version')
    .option('--json', 'answer in JSON')
    .option('--url <address>', 'ask this SandLabX; SANDLABX_URL does the same')
    .option('--data <folder>', 'the data folder of a SandLabX on this machine')
    .option('--idempotency-key <key>', 'repeating the same command with the same key does it once')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .showHelpAfterError('See --help.')
  addUpCommand(program, io)
  addDownCommand(program, io)
  addDoctorCommand(program, io)
  addNodeCommands(program, io)
  addConfigCommands(program, io)
  addCreateCommand(program, io)
  addCloneCommand(program, io)
  addNodeChangeCommands(program, io)
  addDeleteCommand(program, io)
  addResetCommand(program, io)
  addTrashCommands(program, io)
  addStorageCommands(program, io)
  addSnapshotCommands(program, io)
  addDriveCommands(program, io)
  addTestBootCommand(program, io)
  addConsoleCommand(program, io)
  addHistoryCommand(program, io)
  addRecordingCommands(program, io)
  addImageCommands(program, io)
  addSessionCommands(program, io)
  addPeopleCommands(program, io)
  addOperationCommands(program, io)
  addUndoCommand(program, io)
  addRecordCommands(program, io)
  addStateCommands(program, io)
  addSettingsCommands(program, io)
  addAdminCommands(program, io)
  for (const command of allCommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns || 100,
      getErrHelpWidth: () => io.stderr.columns || 100,
    })
  }
  return program
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)]
}

function asSandlabError(error: unknown): SandlabError {
  if (isSandlabError(error)) return error
  if (error instanceof z.ZodError) {
    return new SandlabError('bad_request', error.issues.map((issue) => issue.message).join('; '))
  }
  return new SandlabError('internal', error instanceof Error ? (error.stack ?? error.message) : String(error), {
    hint: 'This is a fault of SandLabX.',
    cause: error,
  })
}

/** What failed · what to do. On standard error, for programs as the API's own error body. */
function report(io: Io, error: SandlabError, json: boolean): number {
  if (json) {
    const { code, message, hint, details } = error
    io.stderr.write(`${JSON.stringify({ error: { code, message, hint, details } })}\n`)
  } else {
    const name = paint(io, io.stderr, 'red', 'sandlabx:')
    const message = error.message.split('\n').map(oneLine).join('\n')
    io.stderr.write(
      io.stderr.isTTY
        ? onTerminal(name, message, error.hint, io.stderr.columns || 80)
        : piped(name, message, error.hint),
    )
  }
  return ERROR_CODES[error.code].exit
}

/** One line, so that a log has all of it. */
function piped(name: string, message: string, hint: string | undefined): string {
  return `${name} ${message}${hint === undefined ? '' : ` · ${oneLine(hint)}`}\n`
}

function onTerminal(name: string, message: string, hint: string | undefined, columns: number): string {
  const [first = '', ...more] = message.split('\n').flatMap((line) => wrap(line, columns - 10))
  const advice = hint === undefined ? [] : wrap(`→ ${oneLine(hint)}`, columns - 12)
  const indented = [...more, ...advice.map((line, index) => (index === 0 ? line : `  ${line}`))]
  return [`${name} ${first}`, ...indented.map((line) => `          ${line}`)].join('\n').concat('\n')
}

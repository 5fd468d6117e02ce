import type { Command } from 'commander'
import { SandlabError } from '../domain/error.js'
import { firstLoginFile } from '../domain/layout.js'
import type { Io } from './io.js'
import { localLayout, readFirstLogin } from './local-backend.js'
import { noOptions, verb, type Run } from './run.js'

/** admin first-login: the generated password of the first administrator, as long as it is the one. */
export function addAdminCommands(program: Command, io: Io): void {
  const admin = program.command('admin').description('the first sign-in to the SandLabX of this machine')
  admin
    .command('first-login')
    .description("show the first administrator's generated password, until it has been changed")
    .action(verb(io, noOptions, firstLogin))
}

async function firstLogin(run: Run): Promise<void> {
  const layout = localLayout(run.io, run.dataDir)
  const first = await readFirstLogin(layout)
  if (!first) {
    throw new SandlabError('not_found', 'There is no generated password here (any more).', {
      hint: `Its owner has chosen another one, SandLabX has not started yet, or you may not read ${firstLoginFile(layout)}. "sandlabx user reset-password LOGIN" makes a new one.`,
    })
  }
  run.output.facts(
    [
      ['Login', first.login],
      ['Password', first.password],
    ],
    first,
  )
}

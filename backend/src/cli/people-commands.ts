import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { ROLES, type User } from '../domain/user.js'
import { newTokenAnswer, newUserAnswer, tokensAnswer, userAnswer, usersAnswer } from './answers.js'
import type { Io } from './io.js'
import { findUser } from './names.js'
import { readSecretFromStdin } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'
import { localTime } from './text.js'

/** user … and token …. */
export function addPeopleCommands(program: Command, io: Io): void {
  const user = program.command('user').description('people (administrators)')
  user
    .command('ls')
    .alias('list')
    .description('list people')
    .action(verb(io, noOptions, listUsers))
  user
    .command('add <login>')
    .description('make an account; prints a generated password once')
    .option('--role <role>', ROLES.join(', '), 'student')
    .option('--name <name>', 'the name that others see')
    .option('--password-stdin', 'read the password from standard input')
    .action(verb(io, addSchema, addUser))
  user
    .command('role <login> <role>')
    .description(`change what somebody may do: ${ROLES.join(', ')}`)
    .action(
      verb(io, noOptions, (run, _options, login: string, role: string) =>
        update(run, login, { role: readRole(role) }, `is now ${role}`),
      ),
    )
  user
    .command('disable <login>')
    .description('lock somebody out at once; their nodes stay')
    .action(
      verb(io, noOptions, (run, _options, login: string) => update(run, login, { disabled: true }, 'is disabled')),
    )
  user
    .command('enable <login>')
    .description('let somebody in again')
    .action(
      verb(io, noOptions, (run, _options, login: string) => update(run, login, { disabled: false }, 'is enabled')),
    )
  user
    .command('reset-password <login>')
    .description('give somebody a new password; prints it once')
    .action(verb(io, noOptions, resetPassword))
  const token = program.command('token').description('your API tokens')
  token
    .command('ls')
    .alias('list')
    .description('list your tokens')
    .action(verb(io, noOptions, listTokens))
  token
    .command('create <name>')
    .description('make a token; it is printed once')
    .action(verb(io, noOptions, createToken))
  token
    .command('revoke <token>')
    .description('revoke a token by its name or id')
    .action(verb(io, noOptions, revokeToken))
}

async function listUsers(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/users', usersAnswer)
  const rows = answer.users.map((user: User) => [
    user.login,
    user.displayName,
    user.role,
    user.disabled ? 'disabled' : 'enabled',
    localTime(user.lastSignInAt),
    user.id,
  ])
  run.output.table(['LOGIN', 'NAME', 'ROLE', 'STATE', 'LAST SIGN-IN', 'ID'], rows, answer)
}

const addSchema = z.object({
  role: z.string(),
  name: z.string().optional(),
  passwordStdin: z.boolean().default(false),
})

async function addUser(run: Run, options: z.infer<typeof addSchema>, login: string): Promise<void> {
  const role = readRole(options.role)
  const password = options.passwordStdin ? await readSecretFromStdin(run.io) : undefined
  const body = { login, role, displayName: options.name, password }
  const answer = await (await run.client()).send('POST', '/api/users', body, newUserAnswer)
  showAccount(run, answer)
}

function readRole(text: string): (typeof ROLES)[number] {
  const role = ROLES.find((each) => each === text)
  if (role) return role
  throw new SandlabError('bad_request', `There is no role "${text}".`, { hint: `Give ${ROLES.join(', ')}.` })
}

async function update(run: Run, login: string, change: Record<string, unknown>, outcome: string): Promise<void> {
  const client = await run.client()
  const { id } = await findUser(client, login)
  const answer = await client.send('PATCH', `/api/users/${id}`, change, userAnswer)
  run.output.done(`${answer.user.login} ${outcome}.`, answer)
}

async function resetPassword(run: Run, _options: unknown, login: string): Promise<void> {
  const client = await run.client()
  const { id } = await findUser(client, login)
  showAccount(run, await client.send('POST', `/api/users/${id}/reset-password`, {}, newUserAnswer))
}

function showAccount(run: Run, answer: z.infer<typeof newUserAnswer>): void {
  const facts: [string, string][] = [
    ['Login', answer.user.login],
    ['Role', answer.user.role],
  ]
  if (answer.password !== null) facts.push(['Password', answer.password])
  run.output.facts(facts, answer)
  if (answer.password !== null && !run.output.json) {
    run.io.stderr.write('The password is shown this once; it must be changed at the first sign-in.\n')
  }
}

async function listTokens(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/session/tokens', tokensAnswer)
  const rows = answer.tokens.map((token) => [
    token.name,
    localTime(token.createdAt),
    localTime(token.lastUsedAt),
    token.id,
  ])
  run.output.table(['NAME', 'CREATED', 'LAST USED', 'ID'], rows, answer)
}

async function createToken(run: Run, _options: unknown, name: string): Promise<void> {
  const answer = await (await run.client()).send('POST', '/api/session/tokens', { name }, newTokenAnswer)
  run.output.done(answer.token, answer)
  if (!run.output.json) run.io.stderr.write('The token is shown this once. Use it as SANDLABX_TOKEN.\n')
}

async function revokeToken(run: Run, _options: unknown, text: string): Promise<void> {
  const client = await run.client()
  const { tokens } = await client.get('/api/session/tokens', tokensAnswer)
  const matching = tokens.filter((token) => token.id === text || token.name === text)
  const [only, ...others] = matching
  if (!only) throw new SandlabError('not_found', `You have no token "${text}".`, { hint: 'See "sandlabx token ls".' })
  if (others.length > 0) {
    const hint = `Give the id: ${matching.map((token) => token.id).join(', ')}.`
    throw new SandlabError('bad_request', `${matching.length} of your tokens are named "${text}".`, { hint })
  }
  await client.sendForNothing('DELETE', `/api/session/tokens/${only.id}`)
  run.output.done(`The token ${only.name} is revoked.`, { revoked: only })
}

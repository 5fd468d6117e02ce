import { hostname } from 'node:os'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { newTokenAnswer, userAnswer } from './answers.js'
import { createClient, readAnswer, request } from './client.js'
import { normalUrl, readConfig, removeConfig, writeConfig } from './credentials.js'
import type { Io } from './io.js'
import { askPassword, askText, readSecretFromStdin } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'

/** login, logout, whoami. */
export function addSessionCommands(program: Command, io: Io): void {
  program
    .command('login <address>')
    .description('sign in to a SandLabX and keep an API token for it')
    .option('--login <name>', 'who you are; asked for when left out')
    .option('--password-stdin', 'read the password from standard input')
    .action(verb(io, loginOptionsSchema, login))
  program
    .command('logout')
    .description('revoke and forget the API token that login has kept')
    .action(verb(io, noOptions, logout))
  program
    .command('whoami')
    .description('say who you are, and where')
    .action(verb(io, noOptions, whoami))
}

const loginOptionsSchema = z.object({ login: z.string().optional(), passwordStdin: z.boolean().default(false) })

async function login(run: Run, options: z.infer<typeof loginOptionsSchema>, address: string): Promise<void> {
  const url = normalUrl(address)
  const name = options.login ?? (await askText(run.io, 'Login'))
  const password = options.passwordStdin ? await readSecretFromStdin(run.io) : await askPassword(run.io, 'Password')
  const session = await openSession(url, name, password)
  try {
    if (session.mustChangePassword) await chooseNewPassword(run, session, password)
    const path = '/api/session/tokens'
    const response = await session.send('POST', path, { name: `sandlabx on ${hostname()}`.slice(0, 60) })
    const { token, record } = await readAnswer(path, response, newTokenAnswer)
    const file = await writeConfig(run.io, { url, token, tokenId: record.id, login: name })
    run.output.done(`Signed in to ${url} as ${name}; the token is in ${file}.`, { url, login: name, file })
  } finally {
    // The session was only a means; a failure to end it must not hide how the login went, and it expires by itself.
    await session.send('DELETE', '/api/session').catch(() => undefined)
  }
}

interface Session {
  mustChangePassword: boolean
  send(method: string, path: string, body?: unknown): Promise<Response>
}

/** The page's way of signing in: a cookie, and the two headers that prove that no foreign page sent us. */
async function openSession(url: string, name: string, password: string): Promise<Session> {
  const headers: Record<string, string> = { 'x-requested-with': 'sandlabx', origin: new URL(url).origin }
  const send = (method: string, path: string, body?: unknown) =>
    request(url, path, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const response = await send('POST', '/api/session', { login: name, password })
  readCookies(response, headers)
  const { user } = await readAnswer('/api/session', response, userAnswer)
  return {
    mustChangePassword: user.mustChangePassword,
    send: async (method, path, body) => {
      const answer = await send(method, path, body)
      readCookies(answer, headers)
      return answer
    },
  }
}

function readCookies(response: Response, headers: Record<string, string>): void {
  const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(';', 1)[0] ?? '')
  // oxlint-disable-next-line no-param-reassign -- the session's cookie jar
  if (cookies.length > 0) headers['cookie'] = cookies.join('; ')
}

async function chooseNewPassword(run: Run, session: Session, currentPassword: string): Promise<void> {
  run.io.stderr.write('This password was given to you and must be changed first.\n')
  const newPassword = await askPassword(run.io, 'New password, at least 10 characters')
  if ((await askPassword(run.io, 'The same again')) !== newPassword) {
    throw new SandlabError('bad_request', 'The two new passwords differ; nothing was changed.')
  }
  await session.send('PUT', '/api/session/password', { currentPassword, newPassword })
}

async function logout(run: Run): Promise<void> {
  const config = await readConfig(run.io)
  if (!config) {
    run.output.done('You were not signed in.', { url: null })
    return
  }
  const client = createClient({ url: config.url, token: config.token, from: 'config' })
  try {
    await client.sendForNothing('DELETE', `/api/session/tokens/${config.tokenId}`)
  } catch (error) {
    const already =
      error instanceof SandlabError && ['not_signed_in', 'not_found', 'account_disabled'].includes(error.code)
    if (!already) throw error
  }
  await removeConfig(run.io)
  run.output.done(`Signed out of ${config.url}; its token is revoked.`, { url: config.url })
}

async function whoami(run: Run): Promise<void> {
  const client = await run.client()
  const { user } = await client.get('/api/session', userAnswer)
  run.output.facts(
    [
      ['Login', user.login],
      ['Name', user.displayName || user.login],
      ['Role', user.role],
      ['Server', client.target.url],
      ['By', { environment: 'SANDLABX_TOKEN', config: 'sandlabx login', local: 'this machine' }[client.target.from]],
    ],
    { user, url: client.target.url, from: client.target.from },
  )
}

import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { passwordSchema, userSchema } from '../../domain/user.js'
import { cookieName, isSecure, sessionCookieOf } from '../auth.js'
import { addressOf } from '../address.js'
import { route } from '../route.js'

const userAnswer = z.object({ user: userSchema })
const tokenRecordSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiToken' })
const credentialsSchema = z.strictObject({ login: z.string().min(1).max(64), password: z.string().min(1).max(200) })

export const sessionRoutes = [
  route({
    method: 'post',
    path: '/api/session',
    tag: 'Session',
    summary: 'Sign in',
    access: 'public',
    body: credentialsSchema,
    answer: { status: 200, schema: userAnswer },
    errors: ['bad_credentials', 'account_disabled', 'too_many_requests', 'database_down'],
    audit: 'session.signIn',
    beforeReady: true,
    async handle(context) {
      const { services, body, request } = context
      const address = addressOf(services.config, request)
      const secure = isSecure(services, request)
      context.about({ type: 'user', id: '', name: body.login.slice(0, 64) })
      const signedIn = await services.signInLimiter.attempt({ login: body.login, address }, () =>
        services.sessions.signIn({
          login: body.login,
          password: body.password,
          address,
          replaces: sessionCookieOf(request), // a session of before the sign-in must not live on
          userAgent: (request.headers['user-agent'] ?? '').slice(0, 300),
        }),
      )
      context.about({ type: 'user', id: signedIn.subject.userId, name: signedIn.subject.login })
      context.response.cookie(cookieName(secure), signedIn.cookieValue, {
        httpOnly: true,
        secure,
        sameSite: 'strict',
        path: '/',
        maxAge: 7 * 24 * 3600 * 1000,
      })
      return { user: await services.accounts.get(signedIn.subject.userId) }
    },
  }),
  route({
    method: 'get',
    path: '/api/session',
    tag: 'Session',
    summary: 'Who am I',
    access: 'signed-in',
    answer: { status: 200, schema: userAnswer },
    beforePasswordChange: true,
    beforeReady: true,
    handle: async ({ services, subject }) => ({ user: await services.accounts.get(subject.userId) }),
  }),
  route({
    method: 'delete',
    path: '/api/session',
    tag: 'Session',
    summary: 'Sign out',
    access: 'signed-in',
    answer: { status: 204 },
    audit: 'session.signOut',
    beforePasswordChange: true,
    beforeReady: true,
    async handle(context) {
      requireSession(context, 'sign out')
      await context.services.sessions.signOut(context.subject.credentialId)
      const secure = isSecure(context.services, context.request)
      context.response.clearCookie(cookieName(secure), { path: '/', secure, httpOnly: true, sameSite: 'strict' })
    },
  }),
  route({
    method: 'put',
    path: '/api/session/password',
    tag: 'Session',
    summary: 'Change my password; my other sessions and tokens end',
    access: 'signed-in',
    body: z.strictObject({ currentPassword: z.string().max(200), newPassword: passwordSchema }),
    answer: { status: 200, schema: userAnswer },
    errors: ['bad_credentials', 'weak_password', 'too_many_requests'],
    audit: 'session.changePassword',
    beforePasswordChange: true,
    beforeReady: true,
    async handle(context) {
      const { services, subject, body } = context
      requireSession(context, 'change the password')
      const address = addressOf(services.config, context.request)
      await services.signInLimiter.attempt({ login: subject.login, address }, () =>
        services.accounts.verifyPassword(subject.login, body.currentPassword),
      )
      if (body.currentPassword === body.newPassword) {
        throw new SandlabError('weak_password', 'The new password is the old one.', { hint: 'Choose another.' })
      }
      const user = await services.accounts.setPassword(subject.userId, body.newPassword, {
        mustChange: false,
        keepCredentialId: subject.credentialId,
      })
      services.directory.set(user)
      return { user }
    },
  }),
  route({
    method: 'get',
    path: '/api/session/tokens',
    tag: 'Session',
    summary: 'My API tokens',
    access: 'signed-in',
    answer: { status: 200, schema: z.object({ tokens: z.array(tokenRecordSchema) }) },
    handle: async ({ services, subject }) => ({ tokens: await services.tokens.list(subject.userId) }),
  }),
  route({
    method: 'post',
    path: '/api/session/tokens',
    tag: 'Session',
    summary: 'Make an API token; the answer is the only time it is shown',
    access: 'signed-in',
    body: z.strictObject({ name: z.string().trim().min(1).max(80) }),
    answer: { status: 201, schema: z.object({ token: z.string(), record: tokenRecordSchema }) },
    audit: 'token.create',
    async handle(context) {
      const made = await context.services.tokens.create({ userId: context.subject.userId, name: context.body.name })
      context.about({ type: 'token', id: made.record.id, name: made.record.name })
      return made
    },
  }),
  route({
    method: 'delete',
    path: '/api/session/tokens/{id}',
    tag: 'Session',
    summary: 'Revoke one of my API tokens',
    access: 'signed-in',
    params: z.object({ id: z.uuid() }),
    answer: { status: 204 },
    errors: ['not_found'],
    audit: 'token.revoke',
    async handle(context) {
      context.about({ type: 'token', id: context.params.id })
      await context.services.tokens.revoke(context.params.id, context.subject.userId)
    },
  }),
]

function requireSession(context: { subject: { kind: string } }, what: string): void {
  if (context.subject.kind === 'session') return
  throw new SandlabError('not_allowed', `An API token can't ${what}.`, { hint: 'Sign in with the browser.' })
}

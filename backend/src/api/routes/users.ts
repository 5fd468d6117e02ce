import { z } from 'zod'
import { userIdSchema } from '../../domain/ids.js'
import { createUserSchema, updateUserSchema, userSchema } from '../../domain/user.js'
import { route } from '../route.js'

const params = z.object({ id: userIdSchema })

export const userRoutes = [
  route({
    method: 'get',
    path: '/api/users',
    tag: 'People',
    summary: 'All accounts',
    access: 'user.list',
    answer: { status: 200, schema: z.object({ users: z.array(userSchema) }) },
    handle: async ({ services }) => ({ users: await services.accounts.list() }),
  }),
  route({
    method: 'post',
    path: '/api/users',
    tag: 'People',
    summary: 'Make an account; a generated password is shown once',
    access: 'user.manage',
    body: createUserSchema,
    answer: { status: 201, schema: z.object({ user: userSchema, password: z.string().nullable() }) },
    errors: ['name_taken', 'weak_password'],
    audit: 'user.create',
    async handle(context) {
      context.about({ type: 'user', id: '', name: context.body.login, details: { role: context.body.role } })
      const made = await context.services.accounts.create(context.body)
      context.about({ type: 'user', id: made.user.id, name: made.user.login, details: { role: made.user.role } })
      context.services.directory.set(made.user)
      context.services.bus.publish('users', made.user.id, made.user)
      return made
    },
  }),
  route({
    method: 'patch',
    path: '/api/users/{id}',
    tag: 'People',
    summary: 'Change name or role, disable or enable',
    access: 'user.manage',
    params,
    body: updateUserSchema,
    answer: { status: 200, schema: z.object({ user: userSchema }) },
    errors: ['not_found', 'last_administrator'],
    audit: 'user.update',
    async handle(context) {
      const {
        services,
        params: { id },
      } = context
      context.about({ type: 'user', id, details: context.body })
      const user = await services.accounts.update(id, context.body)
      context.about({ type: 'user', id, name: user.login, details: context.body })
      services.directory.set(user)
      // Another role may mean other nodes: what is open is closed, and opened again where it is still allowed.
      if (context.body.disabled === true || context.body.role !== undefined) services.lab?.consoles.closeForUser(id)
      services.bus.publish('users', id, user)
      return { user }
    },
  }),
  route({
    method: 'post',
    path: '/api/users/{id}/reset-password',
    tag: 'People',
    summary: 'Give a new password, shown once; the person must change it at the next sign-in',
    access: 'user.manage',
    params,
    answer: { status: 200, schema: z.object({ user: userSchema, password: z.string() }) },
    errors: ['not_found'],
    audit: 'user.resetPassword',
    async handle(context) {
      const {
        services,
        params: { id },
      } = context
      context.about({ type: 'user', id })
      const reset = await services.accounts.resetPassword(id)
      context.about({ type: 'user', id, name: reset.user.login })
      services.directory.set(reset.user)
      services.lab?.consoles.closeForUser(id)
      services.bus.publish('users', id, reset.user)
      return reset
    },
  }),
]

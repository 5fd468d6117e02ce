import { z } from 'zod'
import { labSettingsSchema, updateSettingsSchema } from '../../domain/settings.js'
import { route } from '../route.js'
import { labOf } from '../services.js'

const answer = z.object({ settings: labSettingsSchema })

export const settingsRoutes = [
  route({
    method: 'get',
    path: '/api/settings',
    tag: 'Settings',
    summary: 'What is set for the whole lab',
    access: 'signed-in',
    answer: { status: 200, schema: answer },
    handle: async ({ services }) => ({ settings: labOf(services).disks.settings.get() }),
  }),
  route({
    method: 'patch',
    path: '/api/settings',
    tag: 'Settings',
    summary: 'Change what is set for the whole lab; what is absent stays as it is',
    access: 'settings.manage',
    body: updateSettingsSchema,
    answer: { status: 200, schema: answer },
    errors: ['not_allowed'],
    audit: 'settings.update',
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'settings', id: 'lab', name: 'lab settings', details: body })
      const { disks, consoles } = labOf(services)
      const settings = await disks.settings.update(body)
      if (body.recordConsoles !== undefined) consoles.recordingSwitched()
      return { settings }
    },
  }),
]

import { labSettingsSchema, type LabSettings, type UpdateSettings } from '../domain/settings.js'
import type { NodesContext } from '../nodes/context.js'

/** What an administrator sets for the whole lab. */
export interface Settings {
  get(): LabSettings
  /** Durable when it resolves. What is absent stays as it is. */
  update(change: UpdateSettings): Promise<LabSettings>
}

export function createSettings(context: NodesContext): Settings {
  const get = () => context.store.data.settings[0] ?? labSettingsSchema.parse({})
  return {
    get,
    async update(change) {
      await context.store.change((draft) => {
        const settings = { ...labSettingsSchema.parse(draft.settings[0] ?? {}), ...definedOf(change) }
        draft.settings = [settings]
      })
      context.bus.publish('storage', 'settings', null)
      return get()
    },
  }
}

function definedOf(change: UpdateSettings): Partial<LabSettings> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
}

import type { Command } from 'commander'
import { SandlabError } from '../domain/error.js'
import type { LabSettings, UpdateSettings } from '../domain/settings.js'
import type { SnapshotSchedule } from '../domain/snapshot.js'
import type { Io } from './io.js'
import { noOptions, verb, type Run } from './run.js'
import { settingsAnswer } from './storage-answers.js'
import { scheduleWords } from './snapshot-views.js'

const EXAMPLES = `
Examples:
  sandlabx settings show
  sandlabx settings set trash-days 14           never: nothing in the trash goes by itself
  sandlabx settings set verify-hour 3           off: storage is not looked at by itself
  sandlabx settings set snapshots-daily 7       of each node: one a day, the newest 7 are kept; 0: none`

/** settings show and set: what an administrator sets for the whole lab. */
export function addSettingsCommands(program: Command, io: Io): void {
  const settings = program
    .command('settings')
    .description('what is set for the whole lab (changed by administrators)')
    .addHelpText('after', EXAMPLES)
  settings
    .command('show')
    .alias('ls')
    .description('show all')
    .action(verb(io, noOptions, show))
  settings
    .command('set <name> <value>')
    .description(`set one: ${Object.keys(SETTINGS).join(', ')}`)
    .action(verb(io, noOptions, set))
}

async function show(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/settings', settingsAnswer)
  run.output.facts(settingsFacts(answer.settings), answer)
}

/** The names as `set` takes them, so that what is shown can be typed. */
function settingsFacts({ trashDays, verifyHour, snapshotSchedule }: LabSettings): [string, string][] {
  return [
    ['trash-days', trashDays === null ? 'never' : `${trashDays}`],
    ['verify-hour', verifyHour === null ? 'off' : `${verifyHour}`],
    ['snapshots-hourly', `${snapshotSchedule.hourly}`],
    ['snapshots-daily', `${snapshotSchedule.daily}`],
    ['snapshots-weekly', `${snapshotSchedule.weekly}`],
  ]
}

type Change = (value: number | null, schedule: SnapshotSchedule) => UpdateSettings

/** `null` is the word `never` or `off`. */
const SETTINGS: Record<string, { change: Change; tell: (settings: LabSettings) => string }> = {
  'trash-days': {
    change: (value) => ({ trashDays: value }),
    tell: ({ trashDays }) =>
      trashDays === null
        ? 'Nothing in the trash goes by itself.'
        : `What is in the trash goes for good after ${trashDays} days.`,
  },
  'verify-hour': {
    change: (value) => ({ verifyHour: value }),
    tell: ({ verifyHour }) =>
      verifyHour === null
        ? 'Storage is not looked at by itself.'
        : `All storage is looked at each night from ${verifyHour}:00, the server's time.`,
  },
  ...snapshotSetting('hourly'),
  ...snapshotSetting('daily'),
  ...snapshotSetting('weekly'),
}

function snapshotSetting(kind: keyof SnapshotSchedule): typeof SETTINGS {
  return {
    [`snapshots-${kind}`]: {
      change: (value, schedule) => ({ snapshotSchedule: { ...schedule, [kind]: value ?? 0 } }),
      tell: ({ snapshotSchedule }) => `Each node without a schedule of its own: ${scheduleWords(snapshotSchedule)}.`,
    },
  }
}

async function set(run: Run, _options: unknown, name: string, text: string): Promise<void> {
  const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined
  if (!setting) {
    throw new SandlabError('bad_request', `There is no setting "${name}".`, {
      hint: `There are: ${Object.keys(SETTINGS).join(', ')}.`,
    })
  }
  const value = readValue(name, text)
  const client = await run.client()
  const { settings: before } = await client.get('/api/settings', settingsAnswer)
  const change = setting.change(value, before.snapshotSchedule)
  const answer = await client.send('PATCH', '/api/settings', change, settingsAnswer)
  run.output.done(setting.tell(answer.settings), answer)
}

function readValue(name: string, text: string): number | null {
  if (text === 'never' || text === 'off') return null
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new SandlabError('bad_request', `${name} is a whole number, or "${name === 'trash-days' ? 'never' : 'off'}".`)
}

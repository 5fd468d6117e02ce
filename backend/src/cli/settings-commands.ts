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
  sandlabx settings set snapshots-daily 7       of each node: one a day, the newest 7 are kept; 0: none
  sandlabx settings set record-consoles on      what consoles show is recorded, and they say so; off
  sandlabx settings set recording-days 30       never: recordings stay until somebody deletes them
  sandlabx settings set history-days 365        never: who had a console open is never forgotten`

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
function settingsFacts(settings: LabSettings): [string, string][] {
  const { trashDays, verifyHour, snapshotSchedule, recordConsoles, recordingDays, consoleHistoryDays } = settings
  return [
    ['trash-days', trashDays === null ? 'never' : `${trashDays}`],
    ['verify-hour', verifyHour === null ? 'off' : `${verifyHour}`],
    ['snapshots-hourly', `${snapshotSchedule.hourly}`],
    ['snapshots-daily', `${snapshotSchedule.daily}`],
    ['snapshots-weekly', `${snapshotSchedule.weekly}`],
    ['record-consoles', recordConsoles ? 'on' : 'off'],
    ['recording-days', recordingDays === null ? 'never' : `${recordingDays}`],
    ['history-days', consoleHistoryDays === null ? 'never' : `${consoleHistoryDays}`],
  ]
}

type Change = (value: number | null, schedule: SnapshotSchedule) => UpdateSettings

interface Setting {
  /** The other word than a number, which means null; default `never`. Or it is switched, which means 1 or 0. */
  takes?: 'off' | 'switch'
  change: Change
  tell: (settings: LabSettings) => string
}

const SETTINGS: Record<string, Setting> = {
  'trash-days': {
    change: (value) => ({ trashDays: value }),
    tell: ({ trashDays }) =>
      trashDays === null
        ? 'Nothing in the trash goes by itself.'
        : `What is in the trash goes for good after ${trashDays} days.`,
  },
  'verify-hour': {
    takes: 'off',
    change: (value) => ({ verifyHour: value }),
    tell: ({ verifyHour }) =>
      verifyHour === null
        ? 'Storage is not looked at by itself.'
        : `All storage is looked at each night from ${verifyHour}:00, the server's time.`,
  },
  ...snapshotSetting('hourly'),
  ...snapshotSetting('daily'),
  ...snapshotSetting('weekly'),
  'record-consoles': {
    takes: 'switch',
    change: (value) => ({ recordConsoles: value === 1 }),
    tell: ({ recordConsoles }) =>
      recordConsoles
        ? 'What consoles show is recorded, where a node has no choice of its own. Each console says so; what is typed is not recorded.'
        : 'Consoles are not recorded, where a node has no choice of its own.',
  },
  'recording-days': {
    change: (value) => ({ recordingDays: value }),
    tell: ({ recordingDays }) =>
      recordingDays === null
        ? 'No recording goes by itself.'
        : `A recording goes for good after ${recordingDays} days.`,
  },
  'history-days': {
    change: (value) => ({ consoleHistoryDays: value }),
    tell: ({ consoleHistoryDays }) =>
      consoleHistoryDays === null
        ? 'Who had a console open is never forgotten.'
        : `Who had a console open is forgotten after ${consoleHistoryDays} days.`,
  },
}

function snapshotSetting(kind: keyof SnapshotSchedule): typeof SETTINGS {
  return {
    [`snapshots-${kind}`]: {
      takes: 'off',
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
  const value = readValue(name, setting, text)
  const client = await run.client()
  const { settings: before } = await client.get('/api/settings', settingsAnswer)
  const change = setting.change(value, before.snapshotSchedule)
  const answer = await client.send('PATCH', '/api/settings', change, settingsAnswer)
  run.output.done(setting.tell(answer.settings), answer)
}

function readValue(name: string, { takes }: Setting, text: string): number | null {
  if (takes === 'switch') {
    if (text === 'on' || text === 'off') return text === 'on' ? 1 : 0
    throw new SandlabError('bad_request', `${name} is "on" or "off".`)
  }
  if (text === 'never' || text === 'off') return null
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new SandlabError('bad_request', `${name} is a whole number, or "${takes ?? 'never'}".`)
}

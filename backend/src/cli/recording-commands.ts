import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { CUT_WORDS, type Recording, recordingFormat, recordingsAnswerSchema } from '../domain/recording.js'
import { formatBytes } from '../domain/units.js'
import type { Client } from './client.js'
import { downloadFile } from './download.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { noOptions, verb, type Run } from './run.js'
import { localTime } from './text.js'

const EXAMPLES = `
A recording is named by its id, or by as many of its first letters as it takes.
Recording is switched on with "sandlabx settings set record-consoles on", or on a node's page.
Play a terminal's recording here with "asciinema play FILE".`

/** recording ls, save and delete: what consoles have shown. */
export function addRecordingCommands(program: Command, io: Io): void {
  const recording = program
    .command('recording')
    .description('what consoles have shown, where that was recorded (instructors and administrators)')
    .addHelpText('after', EXAMPLES)
  recording
    .command('ls [node]')
    .alias('list')
    .description('of one node or of all, newest first')
    .action(verb(io, noOptions, list))
  recording
    .command('save <id> <file>')
    .description('save it as a file')
    .option('--force', 'replace the file')
    .action(verb(io, saveSchema, save))
  recording
    .command('delete <id>')
    .description('delete it for good; there is no undo')
    .option('--force', 'needed: there is nothing to get it back with')
    .action(verb(io, saveSchema, remove))
}

const saveSchema = z.object({ force: z.boolean().default(false) })

async function list(run: Run, _options: unknown, name?: string): Promise<void> {
  const client = await run.client()
  const query = name === undefined ? '' : `?nodeId=${(await findNode(client, name)).id}`
  const answer = await client.get(`/api/recordings${query}`, recordingsAnswerSchema)
  const rows = answer.recordings.map((one) => [
    localTime(one.startedAt),
    one.nodeName,
    one.kind,
    [...new Set(one.people.map(({ login }) => login))].join(', '),
    endWords(one),
    formatBytes(one.sizeBytes),
    one.id,
  ])
  run.output.table(['BEGAN', 'NODE', 'CONSOLE', 'WHO', 'END', 'SIZE', 'ID'], rows, answer)
}

function endWords({ endedAt, cut }: Recording): string {
  if (endedAt === null) return 'going on'
  return cut === null ? localTime(endedAt) : `early: ${CUT_WORDS[cut]}`
}

async function save(run: Run, { force }: z.infer<typeof saveSchema>, id: string, file: string): Promise<void> {
  const client = await run.client()
  const one = await findRecording(client, id)
  const saved = await downloadFile(run.io, client, `/api/recordings/${one.id}/data`, { file, replace: force })
  const how =
    recordingFormat(one.kind) === 'cast' ? `Play it with "asciinema play ${file}".` : 'It is played on the page.'
  run.output.done(`Saved the recording of ${one.nodeName} as ${file}. ${how}`, { recording: one, ...saved })
}

async function remove(run: Run, { force }: z.infer<typeof saveSchema>, id: string): Promise<void> {
  const client = await run.client()
  const one = await findRecording(client, id)
  if (!force) {
    throw new SandlabError('bad_request', `The recording of ${one.nodeName} would be gone for good.`, {
      hint: 'Say --force to delete it; "sandlabx recording save" keeps a copy.',
    })
  }
  await client.sendForNothing('DELETE', `/api/recordings/${one.id}`)
  run.output.done(`The recording of ${one.nodeName} of ${localTime(one.startedAt)} is deleted.`, { recording: one })
}

async function findRecording(client: Client, id: string): Promise<Recording> {
  const { recordings } = await client.get('/api/recordings', recordingsAnswerSchema)
  const [only, ...others] = recordings.filter((one) => one.id.startsWith(id))
  if (only && others.length === 0) return only
  const message = only ? `The id "${id}" fits ${others.length + 1} recordings.` : `There is no recording "${id}".`
  throw new SandlabError(only ? 'bad_request' : 'not_found', message, {
    hint: 'List them with "sandlabx recording ls".',
  })
}

import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { TestBoot, TestBootReport } from '../domain/test-boot.js'
import { formatDuration } from '../domain/units.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { ProblemsFound } from './doctor.js'
import { followToEnd } from './follow-operation.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { memoryMib, wholeNumber } from './option-values.js'
import { verb, type Run } from './run.js'
import { snapshotsAnswer, testBootAnswer } from './storage-answers.js'
import { storagePath } from './storage-paths.js'
import { oneLine, paint, printable, wrap } from './text.js'

const EXAMPLES = `
Examples:
  sandlabx test-boot web                               the disk of the node web
  sandlabx test-boot web@monday                        its snapshot monday
  sandlabx test-boot /overlays/old.qcow2               a disk file that no node has
  sandlabx test-boot /srv/backup/web.qcow2 --expect 'Welcome to' --timeout 60
Nothing is written to the disk. Exit 0 when it boots, 3 when it does not.`

export function addTestBootCommand(program: Command, io: Io): void {
  program
    .command('test-boot <what>')
    .description('see whether a disk boots, without changing it: NODE, NODE@SNAPSHOT, or a disk file')
    .option('--expect <text>', 'what the serial console says when it has booted; a login prompt unless told')
    .option('--timeout <seconds>', 'how long it may take; 180 unless told', wholeNumber)
    .option('--memory <size>', 'its memory, like 512M', memoryMib)
    .option('--screenshot <file>', 'save its last screen as PNG')
    .addHelpText('after', EXAMPLES)
    .action(verb(io, optionsSchema, testBoot))
}

const optionsSchema = z.object({
  expect: z.string().optional(),
  timeout: z.number().optional(),
  memory: z.number().optional(),
  screenshot: z.string().optional(),
})

async function testBoot(run: Run, options: z.infer<typeof optionsSchema>, what: string): Promise<void> {
  const client = await run.client()
  const target = await findTarget(client, what)
  const { expect, timeout: timeoutSeconds, memory } = options
  const body = { ...target, expect, timeoutSeconds, memoryMib: memory }
  const started = await client.send('POST', '/api/test-boots', body, operationAnswer)
  const { operation, failure } = await followToEnd(run.io, client, started.operation)
  const path = `/api/test-boots/${operation.id}`
  const { report } = await client.get(path, testBootAnswer).catch((error: unknown) => {
    throw failure ?? error
  })
  const screenshot = await saveScreenshot(run, client, `${path}/screenshot`, report, options.screenshot)
  show(run, report, screenshot)
  if (report.state !== 'success') throw new ProblemsFound()
}

type Target = Pick<TestBoot, 'nodeId' | 'snapshotId' | 'path'>

async function findTarget(client: Client, what: string): Promise<Target> {
  const path = storagePath(what)
  if (path.startsWith('/') || /\.(qcow2|img|raw)$/.test(path)) return { path }
  const [, nodeName, snapshotName] = /^(.+)@([^@]+)$/.exec(what) ?? []
  if (nodeName === undefined || snapshotName === undefined) return { nodeId: (await findNode(client, what)).id }
  const node = await findNode(client, nodeName)
  const { snapshots } = await client.get(`/api/nodes/${node.id}/snapshots`, snapshotsAnswer)
  const snapshot = snapshots.find(({ name, id }) => name === snapshotName || id === snapshotName)
  if (snapshot) return { snapshotId: snapshot.id }
  throw new SandlabError('not_found', `${nodeName} has no snapshot "${snapshotName}".`, {
    hint: `List them with "sandlabx snapshot ${nodeName} ls".`,
  })
}

async function saveScreenshot(
  run: Run,
  client: Client,
  path: string,
  { hasScreenshot }: TestBootReport,
  file: string | undefined,
): Promise<string | null> {
  if (file === undefined) return null
  if (!hasScreenshot) {
    run.io.stderr.write('There is no screenshot of it.\n')
    return null
  }
  const png = Buffer.from(await (await client.raw(path)).arrayBuffer())
  await writeFile(file, png).catch((error: unknown) => {
    throw new SandlabError('bad_request', `The file ${file} can't be written.`, { cause: error })
  })
  return file
}

const SEEN = { login: 'a login prompt', agent: "an answer of the guest's agent", text: 'the text that was waited for' }

function show(run: Run, report: TestBootReport, screenshot: string | null): void {
  const { io, output } = run
  if (output.json) return output.done('', { report, screenshot })
  const isWell = report.state === 'success'
  const mark = isWell ? paint(io, io.stdout, 'green', '✓') : paint(io, io.stdout, 'red', '✗')
  const took = report.tookMs === null ? '' : ` after ${formatDuration(report.tookMs)}`
  const seen = report.seen === null ? '' : `: ${SEEN[report.seen]}${took}`
  const words = isWell ? `it boots${seen}` : report.message
  const sentence = oneLine(`${report.title} · ${words}`)
  const width = io.stdout.isTTY ? (io.stdout.columns || 80) - 2 : Infinity
  const lines = wrap(sentence, width).map((line, index) => `${index === 0 ? mark : ' '} ${line}`)
  if (!isWell && report.serialTail.length > 0) {
    lines.push('The last lines on its serial console:', ...report.serialTail.map((line) => `  ${printable(line)}`))
  }
  if (screenshot !== null) lines.push(`Its last screen is in ${screenshot}.`)
  output.text(`${lines.join('\n')}\n`)
}

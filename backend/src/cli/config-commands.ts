import type { Command } from 'commander'
import { z } from 'zod'
import { nodeAnswer, operationAnswer } from './answers.js'
import { readConfigFile } from './config-file.js'
import { followOperation } from './follow-operation.js'
import type { Io } from './io.js'
import { showMade, throwUnlessAllWell } from './made-nodes.js'
import { findNode, findUser } from './names.js'
import { nodeFacts } from './node-views.js'
import { dryRun } from './plan-view.js'
import { verb, type Run } from './run.js'
import { oneLine, printable } from './text.js'

const SHOW_EXAMPLES = `
Examples:
  sandlabx show web                  YAML; the lines with # say how it is now
  sandlabx show web > web.yaml       for "sandlabx add" and "sandlabx storage attach --vm-config"
  sandlabx show web --summary        the same facts without the YAML`

const ADD_EXAMPLES = `
Examples:
  sandlabx add web.yaml --name web-2 --start
  sandlabx show web | sandlabx add - --name web-2`

/** show and add: what a node is, as YAML that makes a node like it. */
export function addConfigCommands(program: Command, io: Io): void {
  program
    .command('show <node>')
    .description('show one node as YAML that add and attach take: id, name, or owner/name')
    .option('--summary', 'how it is now, without the YAML')
    .addHelpText('after', SHOW_EXAMPLES)
    .action(verb(io, z.object({ summary: z.boolean().default(false) }), show))
  program
    .command('add <file>')
    .description('make a node from the YAML in a file; - reads standard input')
    .option('--name <name>', "its name, instead of the file's")
    .option('--owner <login>', 'whose node it is; you unless told')
    .option('--start', 'start it as soon as it is made')
    .option('--dry-run', 'show what would be done, and do nothing')
    .addHelpText('after', ADD_EXAMPLES)
    .action(verb(io, addSchema, add))
}

async function show(run: Run, options: { summary: boolean }, name: string): Promise<void> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  const answer = await client.get(`/api/nodes/${id}`, nodeAnswer)
  const facts = nodeFacts(answer.node)
  if (options.summary || run.output.json) {
    run.output.facts(facts, answer)
    return
  }
  const yaml = await (await client.raw(`/api/nodes/${id}/config`)).text()
  const width = Math.max(...facts.map(([fact]) => fact.length))
  const comments = facts.map(([fact, value]) => `# ${fact.padEnd(width)}  ${oneLine(value)}\n`)
  run.output.text(`${comments.join('')}${printable(yaml)}${yaml.endsWith('\n') ? '' : '\n'}`)
}

const addSchema = z.object({
  name: z.string().optional(),
  owner: z.string().optional(),
  start: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})

async function add(run: Run, options: z.infer<typeof addSchema>, file: string): Promise<void> {
  const config = await readConfigFile(run.io, file)
  const client = await run.client()
  const ownerId = options.owner === undefined ? undefined : (await findUser(client, options.owner)).id
  const body = { config, name: options.name, ownerId, ...(options.start ? { start: true } : {}) }
  const path = '/api/nodes/from-config'
  if (options.dryRun) return dryRun(run, 'POST', path, body)
  const started = await client.send('POST', path, body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  await showMade(run, client, operation)
  throwUnlessAllWell(operation)
}

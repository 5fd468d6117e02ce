import { Option, type Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import { nodeAnswer } from './answers.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { memoryMib, wholeNumber } from './option-values.js'
import { noOptions, verb, type Run } from './run.js'

/** rename and set: what changes nodes that exist. */
export function addNodeChangeCommands(program: Command, io: Io): void {
  program
    .command('rename <node> <new-name>')
    .description('rename a node')
    .action(verb(io, noOptions, rename))
  program
    .command('set <node>')
    .description('change a node; CPUs, memory and agent of a stopped one')
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--memory <size>', 'memory, like 512M', memoryMib)
    .option('--internet', 'let it reach the internet from the next start on')
    .option('--no-internet', 'keep it off the internet from the next start on')
    .addOption(
      new Option('--on-stop <what>', 'when SandLabX is told to end; `lab`: as all nodes').choices([
        'suspend',
        'shutdown',
        'lab',
      ]),
    )
    .addOption(
      new Option('--recording <what>', 'record what its consoles show; `lab`: as the lab says').choices([
        'on',
        'off',
        'lab',
      ]),
    )
    .option('--agent', "a port for the guest's agent: frozen snapshots, and its clock after a resume")
    .option('--no-agent', 'no such port')
    .action(verb(io, setOptionsSchema, set))
}

const setOptionsSchema = z.object({
  cpus: z.number().optional(),
  memory: z.number().optional(),
  internet: z.boolean().optional(),
  agent: z.boolean().optional(),
  onStop: z.enum(['suspend', 'shutdown', 'lab']).optional(),
  recording: z.enum(['on', 'off', 'lab']).optional(),
})

async function set(run: Run, options: z.infer<typeof setOptionsSchema>, name: string): Promise<void> {
  const { cpus, memory: memoryMib, internet, agent } = options
  const onStop = options.onStop === 'lab' ? null : options.onStop
  const recording = options.recording === 'lab' ? null : options.recording && options.recording === 'on'
  const wanted = { cpus, memoryMib, internet, agent, onStop, recording }
  if (Object.values(wanted).every((value) => value === undefined)) {
    throw new SandlabError('bad_request', 'Nothing to change was given.', {
      hint: 'Give --cpus, --memory, --on-stop, --recording, --internet, --agent, or one of these with --no-.',
    })
  }
  const { node } = await change(run, name, wanted)
  run.output.done(
    `${node.name} has ${node.cpus} CPUs, ${node.memoryMib} MiB, ${node.internet ? 'internet' : 'no internet'}, ` +
      `${node.agent ? 'a port' : 'no port'} for the guest's agent.`,
    { node },
  )
}

async function rename(run: Run, _options: unknown, name: string, newName: string): Promise<void> {
  const { node } = await change(run, name, { name: newName })
  run.output.done(`${name} is now called ${node.name}.`, { node })
}

async function change(run: Run, name: string, wanted: Record<string, unknown>): Promise<{ node: NodeView }> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  return client.send('PATCH', `/api/nodes/${id}`, wanted, nodeAnswer)
}

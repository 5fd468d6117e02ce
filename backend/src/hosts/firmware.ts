import { chmod, chown, copyFile, constants, rm } from 'node:fs/promises'
import { uefiVariablesFile } from '../domain/layout.js'
import { fsyncDirectory, publishFile, stagingName } from '../system/durable-file.js'
import { EngineError, type NodeSpec } from './engine.js'
import type { MachinePaths } from './machine.js'
import type { EngineContext } from './run.js'
import { pathInQemu } from './run-paths.js'
import { exists } from '../system/exists.js'

/** Debian's ovmf, without Secure Boot: SeaBIOS' neighbour in UEFI. The 4M build is the only one from Debian 13 on. */
const OVMF = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
]

/**
 * Null for BIOS; else the firmware and the node's own variables, which are made from the template at its first start.
 * Throws EngineError `unsupported` when OVMF is not installed.
 */
export async function prepareFirmware(context: EngineContext, spec: NodeSpec): Promise<MachinePaths['uefi']> {
  if (spec.firmware === 'bios') return null
  const template = await installedOvmf()
  const variables = uefiVariablesFile(context.layout, spec.id)
  if (!(await exists(variables))) await makeVariables(context, template.variables, variables)
  return { code: template.code, variables: pathInQemu(context.dataDir, variables) }
}

async function installedOvmf(): Promise<(typeof OVMF)[number]> {
  for (const pair of OVMF) {
    if ((await exists(pair.code)) && (await exists(pair.variables))) return pair
  }
  throw new EngineError(
    'unsupported',
    'It needs UEFI, and no UEFI firmware is installed. Install it with `apt-get install ovmf`.',
  )
}

async function makeVariables(context: EngineContext, template: string, target: string): Promise<void> {
  const staging = stagingName(target)
  try {
    await copyFile(template, staging, constants.COPYFILE_EXCL)
    await chmod(staging, 0o600)
    if (context.worker) await chown(staging, context.worker.uid, context.worker.gid)
    await publishFile(staging, target)
    await fsyncDirectory(context.layout.overlays)
  } finally {
    await rm(staging, { force: true })
  }
}

import { isAlias, isNode, isPair, isScalar, parseDocument, stringify, visit, type Document } from 'yaml'
import { DEFAULT_SETTINGS, NO_LIMITS, type DriveSettings } from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import type { Image } from '../../domain/image.js'
import type { Layout } from '../../domain/layout.js'
import { overlayApiPath } from '../../domain/layout.js'
import { KNOWN_BINARY, readNodeConfig, type NodeConfig } from '../../domain/node-config.js'
import type { NodeRecord } from '../../domain/node.js'
import { driveApiPath } from '../../storage/drive-files.js'

export const MAX_CONFIG_BYTES = 65_536
/** Deeper than any config of ours; a nest of brackets would exhaust the stack. */
const MAX_DEPTH = 64
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])
const FORM = 'The form is in docs/storage.md; `sandlabx show NODE` prints one.'

/**
 * Reads a node's YAML. Throws `bad_node_config` with everything that is wrong with it at once: also for aliases, tags of
 * its own, keys that come twice, and more than 64 KiB.
 */
export function parseNodeConfig(text: string): NodeConfig {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) throw badConfig(['it has more than 64 KiB.'])
  const { config, faults } = readNodeConfig(valueOf(text))
  if (config) return config
  throw badConfig(faults)
}

/** A node as YAML that `attach` and `from-config` take again. It holds no password, nor its hash. */
export function printNodeConfig(layout: Layout, record: NodeRecord, image: Image | undefined): string {
  const { guest, rootDrive, drives } = record
  const config = {
    name: record.name,
    binary: KNOWN_BINARY,
    arguments: [{ m: `${record.memoryMib}M` }, { smp: record.cpus }],
    storage: [
      {
        name: 'root',
        type: 'qcow2',
        file: overlayApiPath(record.overlayFile),
        interface: 'virtio',
        size: record.diskBytes,
        ...settingsOf(rootDrive),
      },
      ...drives.map((drive) => ({
        name: drive.id,
        type: drive.format,
        file: driveApiPath(layout, drive),
        interface: 'virtio',
        size: drive.sizeBytes,
        ...settingsOf(drive),
      })),
    ],
    network: [{ type: 'user', mac: record.mac, internet: record.internet }],
    agent: record.agent,
    id: record.id,
    image: record.imageId,
    imageSha256: record.base.sha256,
    guest: { user: guest.user, ...(guest.sshKeys.length > 0 && { sshKeys: guest.sshKeys }) },
    ...(record.snapshotSchedule && { snapshotSchedule: record.snapshotSchedule }),
  }
  const about = image ? `, made from ${oneLine(image.title)}` : ''
  const head = `# ${record.name}${about}. For \`sandlabx storage attach\` and \`sandlabx add\`.\n`
  return head + stringify(config, { lineWidth: 0 })
}

export function badConfig(faults: readonly string[]): SandlabError {
  const few = faults.slice(0, 40)
  return new SandlabError('bad_node_config', `This is no configuration for a node: ${few.join(' ')}`, {
    hint: FORM,
    details: { faults: few },
  })
}

function valueOf(text: string): unknown {
  if (depthOf(text) > MAX_DEPTH) throw badConfig(['it is nested too deeply.'])
  const document = parsed(text)
  const errors = [...document.errors, ...document.warnings].map(({ message }) => oneLine(message.split('\n')[0] ?? ''))
  const faults = [...errors, ...trapsIn(document)]
  if (faults.length > 0) throw badConfig(faults)
  return document.toJS({ maxAliasCount: 0 })
}

function parsed(text: string): Document {
  try {
    return parseDocument(text, { version: '1.2', schema: 'core', merge: false, uniqueKeys: true, strict: true })
  } catch (error) {
    throw new SandlabError('bad_node_config', 'This is no YAML.', { hint: FORM, cause: error })
  }
}

function trapsIn(document: Document): string[] {
  const faults = new Set<string>()
  visit(document, (_key, node) => {
    if (isAlias(node)) faults.add('aliases (`*name`) are not allowed.')
    else if (isPair(node)) {
      const key = isScalar(node.key) ? node.key.value : undefined
      if (typeof key !== 'string') faults.add('a key that is no text is not allowed.')
      else if (FORBIDDEN_KEYS.has(key)) faults.add(`the key ${key} is not allowed.`)
    } else if (isNode(node) && node.tag !== undefined && !PLAIN_TAG.test(node.tag)) {
      faults.add(`the tag ${oneLine(node.tag).slice(0, 60)} is not allowed.`)
    }
  })
  return [...faults]
}

const PLAIN_TAG = /^tag:yaml\.org,2002:(map|seq|str|int|float|bool|null)$/

/** Of brackets and of indentation: an upper bound, without parsing. */
function depthOf(text: string): number {
  let depth = 0
  let most = 0
  for (const character of text) {
    if (character === '[' || character === '{') most = Math.max(most, (depth += 1))
    else if (character === ']' || character === '}') depth -= 1
  }
  const dashes = text.split('\n').map((line) => /^[\s?:-]*/.exec(line)?.[0].replaceAll(/\s/g, '').length ?? 0)
  return Math.max(most, ...dashes.slice(0, MAX_CONFIG_BYTES))
}

/** What differs from how a drive is by itself. */
function settingsOf({ readOnly, cache, io, limits }: DriveSettings) {
  return {
    ...(readOnly && { readonly: true }),
    ...(cache !== DEFAULT_SETTINGS.cache && { cache }),
    ...(io !== DEFAULT_SETTINGS.io && { io }),
    ...(JSON.stringify(limits) !== JSON.stringify(NO_LIMITS) && { limits }),
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}

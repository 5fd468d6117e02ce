import type { MigrationPlan, MigrationReport, MovedNode } from '../domain/migration.js'
import { formatBytes } from '../domain/units.js'
import { oneLine } from './text.js'

/** What was found, and what becomes of it. Pure. */
export function migrationPlanLines(plan: MigrationPlan): string[] {
  const { sources, nodes, images, accounts, filesWithoutRecord, warnings, requiredBytes } = plan
  if (nodes.length === 0 && filesWithoutRecord.length === 0) {
    return [
      'No older SandLabX was found.',
      ...sources.map(({ path, what }) => `  ${oneLine(path)}: ${what}`),
      ...warnings.map((text) => `  Note: ${oneLine(text)}`),
    ]
  }
  const coming = images.filter(({ action }) => action === 'import')
  const making = accounts.filter(({ action }) => action === 'make')
  return [
    'Found:',
    ...sources.map(({ path, what }) => `  ${oneLine(path)}: ${what}`),
    ...(coming.length === 0 ? [] : ['Base images that come over:']),
    ...coming.map(({ id, from, bytes }) => `  ${id}  from ${oneLine(from)} (${formatBytes(bytes)})`),
    ...(making.length === 0 ? [] : ['Accounts that are made, with one-time passwords, unless they are here:']),
    ...making.map(({ login, email, role }) => `  ${login}  ${role}  (${oneLine(email)})`),
    'Nodes:',
    ...nodes.flatMap(nodeLines),
    ...(filesWithoutRecord.length === 0 ? [] : ['Disks that no old record names (they stay where they are):']),
    ...filesWithoutRecord.map(({ path, bytes }) => `  ${oneLine(path)} (${formatBytes(bytes)})`),
    ...warnings.map((text) => `Note: ${oneLine(text)}`),
    `It takes ${formatBytes(requiredBytes)} of room at most. Old files are only read.`,
  ]
}

function nodeLines({ name, oldName, owner, action, reason, disk, diskBytes, image, notes }: MovedNode): string[] {
  const old = JSON.stringify(oldName)
  if (action === 'here') return [`  ${old}  is here already`]
  if (action === 'left-out') return [`  ${old}  STAYS BEHIND: ${oneLine(reason ?? '')}`]
  const what = disk === null ? 'never ran' : `${formatBytes(diskBytes)} from ${oneLine(disk)}`
  const whose = owner === null ? '' : `, of ${oneLine(owner)}`
  return [`  ${name}  over ${image}, ${what}${whose}`, ...notes.map((note) => `      ${oneLine(note)}`)]
}

/** What was done, and what is next. Pure. */
export function migrationReportLines(report: MigrationReport): string[] {
  const { nodesBefore, nodesAfter, verifiedDisks, backup, passwords, removable } = report
  if (backup === null) return ['There was nothing to bring over: all of it is here already.']
  return [
    `Brought over ${nodesAfter - nodesBefore} nodes; the lab has ${nodesAfter} now. ${verifiedDisks} disks were compared and checked.`,
    `The old records and this report are kept in ${oneLine(backup)}`,
    ...(passwords.length === 0 ? [] : ['One-time passwords (they are also in first-passwords.txt there):']),
    ...passwords.map(({ login, password }) => `  ${login}  ${password}`),
    'Guests have no network until it is switched on: internet is off for each of them (sandlabx set NAME --internet).',
    ...(removable.length === 0 ? [] : [howToDelete(removable, `${backup}/report.json`)]),
  ]
}

/** In a container they are reached through the script alone. */
function howToDelete(removable: MigrationReport['removable'], report: string): string {
  const isMounted = removable.some(({ path }) => path.startsWith('/migrate/'))
  const command = isMounted ? './migrate-state.sh' : 'sandlabx state migrate'
  return `The old disks are where they were. When all is well: ${command} --delete-old-of ${oneLine(report)}`
}

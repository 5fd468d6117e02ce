import { CONSOLE_KINDS } from '@domain/console-codes.js'
import { readList, readOne, readText, said } from './util/address.js'
import { CHIPS, SORTS } from './util/node-filter.js'

// What each page keeps in its address. All are strings there; unknown values are dropped.

export const NODE_VIEWS = ['table', 'cards'] as const

export function readNodesSearch(search: Record<string, unknown>) {
  const status = readList(search['status'], CHIPS).join(',')
  return said({
    q: readText(search['q']),
    status: status || undefined,
    owner: readOne(search['owner'], ['me']),
    view: readOne(search['view'], NODE_VIEWS),
    sort: readOne(search['sort'], SORTS),
    /** Selected ids, comma-separated. */
    selected: readText(search['selected'], 40_000),
    /** The create dialog is open: `yes`, or the id of the image to begin with. */
    new: readText(search['new'], 80),
    /** The dialog for many is open. */
    many: readOne(search['many'], ['yes']),
    /** The id of the node that the clone dialog is about. */
    clone: readText(search['clone'], 80),
    /** Likewise the dialogs for a reset and for a test boot. */
    reset: readText(search['reset'], 80),
    boot: readText(search['boot'], 80),
  })
}
export type NodesSearch = ReturnType<typeof readNodesSearch>

/** The console on a node's page; the workspace keeps its own in `layout`. */
export function readConsoleSearch(search: Record<string, unknown>) {
  return said({
    kind: readOne(search['kind'], CONSOLE_KINDS),
    mode: readOne(search['mode'], ['control', 'view']),
  })
}

export function readConsolesSearch(search: Record<string, unknown>) {
  return said({ layout: readText(search['layout'], 8000) })
}

export const IMAGE_DIALOGS = ['upload', 'import'] as const

export function readImagesSearch(search: Record<string, unknown>) {
  return said({ dialog: readOne(search['dialog'], IMAGE_DIALOGS) })
}

export function readPeopleSearch(search: Record<string, unknown>) {
  return said({ q: readText(search['q']), new: readOne(search['new'], ['yes']) })
}

export function readAuditSearch(search: Record<string, unknown>) {
  return said({
    actor: readText(search['actor']),
    action: readText(search['action']),
    object: readText(search['object']),
  })
}

export const OPERATION_CHIPS = ['running', 'done', 'trouble'] as const

export function readOperationsSearch(search: Record<string, unknown>) {
  return said({
    state: readList(search['state'], OPERATION_CHIPS).join(',') || undefined,
    kind: readText(search['kind'], 40),
    q: readText(search['q']),
  })
}
export type OperationsSearch = ReturnType<typeof readOperationsSearch>

export const STORAGE_TABS = ['nodes', 'images', 'snapshots', 'trash', 'orphans', 'verify', 'settings'] as const
export type StorageTab = (typeof STORAGE_TABS)[number]

export function readStorageSearch(search: Record<string, unknown>) {
  return said({
    tab: readOne(search['tab'], STORAGE_TABS),
    q: readText(search['q']),
    /** The operation of the verify that is looked at. */
    report: readText(search['report'], 80),
  })
}
export type StorageSearch = ReturnType<typeof readStorageSearch>

/** The snapshots of a node: the dialog for a new one is open. */
export function readSnapshotsSearch(search: Record<string, unknown>) {
  return said({ new: readOne(search['new'], ['yes']) })
}

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
  })
}
export type NodesSearch = ReturnType<typeof readNodesSearch>

/** The console on a node's page; the workspace keeps its own in `layout`. */
export function readConsoleSearch(search: Record<string, unknown>) {
  return said({
    kind: readOne(search['kind'], ['serial', 'screen']),
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

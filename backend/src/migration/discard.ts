import { readFile, rm, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { overlayFile, type Layout } from '../domain/layout.js'
import { migrationReportSchema, type MigrationDiscard, type MigrationReport } from '../domain/migration.js'
import { errnoOf } from '../system/durable-file.js'
import { offline } from '../state/state-check.js'
import { readTarget } from './target.js'

/**
 * Deletes the old disks that a migration brought over and compared. One stays when its node or that node's new disk is
 * not here any more, and when it was written since. Throws `not_found` for a report that is none.
 */
export async function discardOldDisks(layout: Layout, reportFile: string): Promise<MigrationDiscard> {
  const report = await readReport(reportFile)
  return offline(layout, async () => {
    const { state } = await readTarget(layout)
    const done: MigrationDiscard = { removed: [], kept: [], freedBytes: 0 }
    for (const { path, bytes, nodeId } of report.removable) {
      const isHere = state.nodes.some(({ id }) => id === nodeId)
      const reason = isHere ? await whyKept(layout, path, nodeId, report.at) : 'its node is not in the lab any more'
      if (reason === 'gone') continue
      if (reason !== undefined) {
        done.kept.push({ path, reason })
        continue
      }
      const refused = await remove(path)
      if (refused !== undefined) {
        done.kept.push({ path, reason: refused })
        continue
      }
      done.removed.push(path)
      done.freedBytes += bytes
    }
    return done
  })
}

async function remove(path: string): Promise<string | undefined> {
  try {
    await rm(path)
  } catch (error) {
    return `the system refused it (${errnoOf(error)})`
  }
  if (path.includes('/.migrated/')) await rmdir(dirname(path)).catch(() => undefined) // it was not the last one
  return undefined
}

async function whyKept(layout: Layout, path: string, nodeId: string, at: string): Promise<string | undefined> {
  try {
    const [old, made] = [await stat(path), await stat(overlayFile(layout, nodeId)).catch(() => undefined)]
    if (!made) return 'the new disk of its node is gone'
    if (old.ino === made.ino && old.dev === made.dev) return 'it is the disk of its node'
    return old.mtimeMs > Date.parse(at) ? 'it was written since the migration' : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'gone'
    return `it can't be looked at (${errnoOf(error)})`
  }
}

async function readReport(path: string): Promise<MigrationReport> {
  try {
    return migrationReportSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new SandlabError('not_found', `${path} is not the report of a migration.`, {
      hint: 'Reports are in `state/migrations/<time>/report.json`. Nothing was deleted.',
      cause: error,
    })
  }
}
